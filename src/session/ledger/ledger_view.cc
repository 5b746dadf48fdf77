// Reads and checks ledgers. Later commands remove, stop or write to whatever a ledger names, so a planted or damaged
// file must not be able to name anything else. The place is checked first (owner, mode, no links), and then, in every
// record, the owner and each name and path against what a session of this name has. One field that does not fit
// rejects the whole ledger.
#include <unistd.h>

#include <sstream>

#include "base/files/own_file.h"
#include "base/ids.h"
#include "base/text/line.h"
#include "base/text/path_parts.h"
#include "base/text/words.h"
#include "session/credentials/session_agent.h"
#include "session/ledger/files.h"
#include "session/ledger/graves.h"
#include "session/ledger/ledger.h"
#include "session/ledger/names.h"

namespace bottle::session {
namespace {

constexpr size_t kLargest = 16 << 20;  // in bytes; the ledger of a remote session contains its plan
constexpr size_t kLongestPath = 4096;

std::unexpected<Error> distrust(const std::string& what) { return fail(Code::denied, what); }

// Returns whether a path is absolute and has no part that leads elsewhere.
bool is_plain_path(const std::string& path) {
  if (!path.starts_with('/') || path.size() > kLongestPath || path.find('\0') != std::string::npos) return false;
  std::istringstream parts(path);
  for (std::string part; std::getline(parts, part, '/');)
    if (part == "." || part == "..") return false;
  return true;
}

bool is_commit(const std::string& text) {
  return (text.size() == 40 || text.size() == 64) && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

Result<> check(const Thing& thing, const LedgerFrame& frame) {
  bool is_known = thing.kind == ThingKind::ssh_agent ? thing.name == SessionAgent::socket_in(frame.directory)
                                                     : Names(frame.session).has(thing);
  if (is_known) return {};
  return distrust("it names the " + word_of(thing.kind) + " " + one_line(thing.name, 200) + ", which session " +
                  frame.session + " does not make");
}

Result<> check(const Work& work, const LedgerFrame& frame) {
  if (work.results != frame.results) return distrust("the session's results are not in " + one_line(work.results, 200));
  for (const auto& path : {work.source, work.workdir})
    if (!is_plain_path(path)) return distrust("'" + one_line(path, 200) + "' is not an absolute path");
  if (!work.base.empty() && !is_commit(work.base)) return distrust("its base is not a commit");
  return {};
}

// Checks every field of a record that names something or is a path.
Result<> check(const LedgerRecord& record, const LedgerFrame& frame) {
  if (record.engine && !record.engine->empty() && !is_plain_path(*record.engine))
    return distrust("its engine's socket is not a path");
  for (const auto& thing : record.make.value_or(std::vector<Thing>())) TRY(check(thing, frame));
  if (record.work) TRY(check(*record.work, frame));
  if (record.vm && !is_session_name(record.vm->name))
    return distrust("the name of its VM is not valid");  // VMs follow the naming rule of sessions
  if (record.base && !record.base->empty() && !is_commit(*record.base)) return distrust("its base is not a commit");
  return {};
}

Result<> take_owner(const std::string& label, LedgerView& view) {
  auto owner = Owner::from_label(label);
  if (!owner) return distrust(owner.error().what);
  view.owner = std::move(*owner);
  // A ledger in our directory that names another user was copied here.
  if (view.owner.uid != ::getuid()) return distrust("it is the ledger of another user's session");
  return {};
}

// Replaces a value if a later record has it.
template <class To, class From>
void replace(To& to, std::optional<From>& from) {
  if (from) to = std::move(*from);
}

// Adds a record to the view. `make` and `asked` add up; of everything else, the last record counts.
Result<> take_record(LedgerRecord record, const LedgerFrame& frame, LedgerView& view) {
  TRY(check(record, frame));
  if (record.owner) TRY(take_owner(*record.owner, view));
  if (record.make) view.things.insert(view.things.end(), record.make->begin(), record.make->end());
  if (record.asked) view.create_connections.push_back(*record.asked);
  replace(view.engine, record.engine);
  replace(view.engine_id, record.engine_id);
  replace(view.work, record.work);
  replace(view.machine, record.machine);
  replace(view.vm, record.vm);
  if (record.plan) view.unknown_in_plan = record.unknown_in_plan;
  replace(view.plan, record.plan);
  replace(view.base, record.base);
  replace(view.id, record.id);
  replace(view.near_share.secrets_stay, record.secrets_stay);
  replace(view.near_share.offline, record.offline);
  // A later record may only repeat that it may have run. Earlier versions did not note the difference.
  using Ran = LedgerView::Ran;
  if (record.running == false) view.ran = Ran::no;
  else if (record.ran.value_or(record.running == true)) view.ran = Ran::yes;
  else if (record.running == true && view.ran == Ran::no) view.ran = Ran::perhaps;
  replace(view.home, record.home);
  replace(view.foreign, record.foreign);
  replace(view.exit, record.ended);
  // Work that is home must not be collected again.
  if (view.home) view.work.reset();
  return {};
}

// Reads and checks the ledger of a session in the directory `name` below `root`, which is the directory of the sessions
// or of the graves.
Result<LedgerView> read(const Directories& directories, const std::string& root, const std::string& name,
                        const std::string& session) {
  if (!is_session_name(session)) return fail(Code::invalid, "'" + one_line(session, 60) + "' cannot be a session");
  std::string directory = root + "/" + name;
  // Checks every directory on the way down, because whoever can write to one of them can replace everything below it.
  TRY(check_own_directory(parent_of(root)));
  (void)TRY(open_own_directory(root));
  UniqueFd opened = TRY(open_own_directory(directory));
  std::string text = TRY(read_own_file(opened, directory, kLedger, kLargest));
  // The directory of a session in a grave was elsewhere.
  auto view = parse_ledger(text, {session, directories.session(session), directories.results_of(session)});
  if (view) return view;
  Error error = std::move(view.error()).during("the ledger in " + directory + " cannot be trusted");
  // The only record of work on another machine must not go because nothing is left on this machine's engine.
  bool is_remote = text.find(R"("remote":)") != std::string::npos;
  std::string look = is_remote
                         ? "look at it; it may be the only record of work on another machine"
                         : "look at it; if nothing that the session made is left on the engine, remove the directory";
  error.todo += (error.todo.empty() ? "" : "; otherwise, ") + look;
  return std::unexpected(std::move(error));
}

}  // namespace

Result<LedgerView> parse_ledger(const std::string& text, const LedgerFrame& frame) {
  LedgerView view;
  for (std::string_view line : each_record(text, '\n')) {  // leaves out a last line that is incomplete
    auto record = wire::decode<LedgerRecord>(line, wire::From::ours);
    // A crash can leave a line incomplete. In ledgers of earlier versions, the next record is on the same line.
    if (!record && record.error().code == Code::invalid) continue;
    if (!record)
      return fail(Code::denied, record.error().what, "if another version of bottle wrote it, use that version");
    TRY(take_record(std::move(*record), frame, view));
  }
  if (view.owner.process.pid == 0) return distrust("it names no owner");
  return view;
}

Result<LedgerView> read_ledger(const Directories& directories, const std::string& session) {
  return read(directories, directories.sessions, session, session);
}

Result<LedgerView> read_grave(const Directories& directories, const std::string& grave) {
  return read(directories, graves_in(directories), grave, session_of_grave(grave));
}

}  // namespace bottle::session
