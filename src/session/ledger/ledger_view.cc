// Reading a ledger, which is believing it: see ledger.h.
#include <unistd.h>

#include <algorithm>
#include <sstream>

#include "base/ids.h"
#include "base/line.h"
#include "base/own_file.h"
#include "session/credentials/session_agent.h"
#include "session/ledger/ledger.h"
#include "session/ledger/names.h"

namespace bottle::session {
namespace {

using nlohmann::json;

constexpr size_t kLargest = 16 << 20;  // the plan of a session on another machine is in it
constexpr size_t kLongestPath = 4096;

std::unexpected<Error> disbelieve(const std::string& what) { return fail(Code::denied, what); }

// Absent: empty.
Result<std::string> text_in(const json& object, const char* key) {
  auto found = object.find(key);
  if (found == object.end()) return "";
  if (!found->is_string()) return disbelieve(std::string(key) + " is not text");
  return found->get<std::string>();
}

// Absolute, and nowhere else than it says.
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

Result<Thing> thing_from(const json& record, const LedgerFrame& frame) {
  if (!record.is_object()) return disbelieve("what it is to make is unreadable");
  Thing thing{TRY(text_in(record, "kind")), TRY(text_in(record, "name"))};
  bool is_known = thing.kind == "ssh-agent" ? thing.name == SessionAgent::socket_in(frame.directory)
                                            : Names(frame.session).has(thing);
  if (!is_known)
    return disbelieve("it names the " + one_line(thing.kind, 40) + " " + one_line(thing.name, 200) +
                      ", which session " + frame.session + " does not make");
  return thing;
}

Result<Work> work_from(const json& record, const LedgerFrame& frame) {
  Work work{TRY(text_in(record, "source")), TRY(text_in(record, "workdir")), TRY(text_in(record, "base")),
            TRY(text_in(record, "results"))};
  if (auto far = record.find("far"); far != record.end()) {
    if (!far->is_boolean()) return disbelieve("far is neither true nor false");
    work.far = far->get<bool>();
  }
  if (work.results != frame.results)
    return disbelieve("the session's results are not in " + one_line(work.results, 200));
  for (const auto& path : {work.source, work.workdir})
    if (!is_plain_path(path)) return disbelieve("'" + one_line(path, 200) + "' is not an absolute path");
  if (!work.base.empty() && !is_commit(work.base)) return disbelieve("its base is not a commit");
  return work;
}

// Where another machine is: what far_from_json() and the name of a VM's record are made from.
Result<> check_place(const json& record) {
  if (auto remote = record.find("remote"); remote != record.end()) {
    if (!remote->is_object()) return disbelieve("remote is unreadable");
    for (const auto& [key, value] : remote->items())
      if (!value.is_string() && !value.is_number_unsigned()) return disbelieve("remote is unreadable");
  }
  if (auto vm = record.find("vm"); vm != record.end()) {
    if (!vm->is_object()) return disbelieve("vm is unreadable");
    if (!is_session_name(TRY(text_in(*vm, "name"))))
      return disbelieve("it names a VM that cannot be ours");  // named by the same rule
    (void)TRY(text_in(*vm, "provider"));
  }
  return {};
}

Result<> take_flags(const json& record, LedgerView& view) {
  for (auto [key, to] : {std::pair{"tunnel", &view.tunnel},
                         {"offline", &view.offline},
                         {"running", &view.running},
                         {"home", &view.home}})
    if (auto flag = record.find(key); flag != record.end()) {
      if (!flag->is_boolean()) return disbelieve(std::string(key) + " is neither true nor false");
      *to = flag->get<bool>();
    }
  if (auto exit = record.find("ended"); exit != record.end() && exit->is_number_integer()) view.exit = exit->get<int>();
  if (auto asked = record.find("asked"); asked != record.end() && asked->is_number_unsigned())
    view.asked.push_back(asked->get<uint64_t>());
  return {};
}

Result<> take_record(const json& record, const LedgerFrame& frame, LedgerView& view) {
  if (record.contains("owner")) {
    auto owner = Owner::from_label(TRY(text_in(record, "owner")));
    if (!owner) return disbelieve(owner.error().what);
    view.owner = std::move(*owner);
    if (view.owner.uid != ::getuid()) return disbelieve("it is the ledger of another user's session");
  }
  if (record.contains("engine")) {
    view.engine = TRY(text_in(record, "engine"));
    if (!view.engine.empty() && !is_plain_path(view.engine)) return disbelieve("its engine's socket is not a path");
  }
  if (auto make = record.find("make"); make != record.end()) {
    if (!make->is_array()) return disbelieve("what it is to make is unreadable");
    for (const auto& thing : *make) view.things.push_back(TRY(thing_from(thing, frame)));
  }
  if (auto work = record.find("work"); work != record.end()) {
    if (!work->is_object()) return disbelieve("work is unreadable");
    view.work = TRY(work_from(*work, frame));
  }
  TRY(check_place(record));
  for (auto [key, to] : {std::pair{"remote", &view.remote}, {"vm", &view.vm}, {"plan", &view.plan}})
    if (auto found = record.find(key); found != record.end() && found->is_object()) *to = *found;
  if (record.contains("base")) {
    view.base = TRY(text_in(record, "base"));
    if (!view.base.empty() && !is_commit(view.base)) return disbelieve("its base is not a commit");
  }
  TRY(take_flags(record, view));
  if (view.home) view.work.reset();
  return {};
}

Result<LedgerView> read(const Directories& directories, const std::string& root, const std::string& session) {
  if (!is_session_name(session)) return fail(Code::invalid, "'" + one_line(session, 60) + "' cannot be a session");
  std::string directory = root + "/" + session;
  TRY(check_own_directory(root.substr(0, root.rfind('/'))));
  (void)TRY(open_own_directory(root));
  UniqueFd opened = TRY(open_own_directory(directory));
  std::string text = TRY(read_own_file(opened, directory, "ledger", kLargest));
  // A grave is of a session that was elsewhere.
  auto view = parse_ledger(text, {session, directories.sessions + "/" + session, directories.results + "/" + session});
  if (view) return view;
  Error error = std::move(view.error()).during("the ledger in " + directory + " is not believed");
  error.todo = "look at it; when nothing of that session is left on the engine, remove the directory";
  return std::unexpected(std::move(error));
}

}  // namespace

Result<LedgerView> parse_ledger(const std::string& text, const LedgerFrame& frame) {
  LedgerView view;
  for (size_t at = 0; at < text.size();) {
    size_t end = text.find('\n', at);
    if (end == std::string::npos) break;  // torn
    auto record =
        json::parse(text.begin() + static_cast<long>(at), text.begin() + static_cast<long>(end), nullptr, false);
    at = end + 1;
    // What was torn by a crash ends where the next owner's first record begins, on the same line.
    if (record.is_object()) TRY(take_record(record, frame, view));
  }
  if (view.owner.pid == 0) return disbelieve("it names no owner");
  return view;
}

Result<LedgerView> read_ledger(const Directories& directories, const std::string& session) {
  return read(directories, directories.sessions, session);
}

Result<LedgerView> read_grave(const Directories& directories, const std::string& session) {
  return read(directories, graves_in(directories), session);
}

std::string graves_in(const Directories& directories) {
  return directories.sessions.substr(0, directories.sessions.rfind('/')) + "/graves";
}

}  // namespace bottle::session
