#include "session/ledger.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <sstream>

#include "base/file.h"
#include "base/process_identity.h"

namespace bottle::session {
namespace {

// For the crash tests: die by SIGKILL right after record N is on disk.
void die_if_asked(int record) {
  const char* at = std::getenv("BOTTLE_TEST_KILL_AT_RECORD");
  if (at && std::atoi(at) == record) ::kill(::getpid(), SIGKILL);
}

int record_number = 0;

}  // namespace

Owner Owner::self() {
  return {static_cast<uint32_t>(::getuid()), ::getpid(), process_start(::getpid()), this_boot()};
}

bool Owner::alive() const { return ProcessIdentity{pid, start_time, boot_id}.alive(); }

std::string Owner::to_label() const {
  return std::to_string(uid) + ":" + std::to_string(pid) + ":" + start_time + ":" + boot_id;
}

Result<Owner> Owner::from_label(const std::string& label) {
  std::istringstream in(label);
  std::string uid, pid, start, boot;
  if (!std::getline(in, uid, ':') || !std::getline(in, pid, ':') || !std::getline(in, start, ':') || !std::getline(in, boot))
    return fail(Code::invalid, "owner label '" + label + "' is not uid:pid:start:boot");
  return Owner{static_cast<uint32_t>(std::strtoul(uid.c_str(), nullptr, 10)), std::atoi(pid.c_str()), start, boot};
}

Result<Ledger> Ledger::create(const std::string& directory, const Owner& owner) {
  TRY(make_directories(directory));
  std::string path = directory + "/ledger";
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600));
  if (!fd) return fail_errno("creating the ledger " + path);
  // Held for life: two who would adopt the session of a dead owner cannot both.
  ::flock(fd.get(), LOCK_EX | LOCK_NB);
  Ledger ledger(std::move(fd));
  TRY(ledger.note({{"owner", owner.to_label()}}));
  return ledger;
}

Result<Ledger> Ledger::adopt(const std::string& directory, const Owner& owner) {
  std::string path = directory + "/ledger";
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  if (!fd) return fail_errno("opening the ledger " + path);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return fail(Code::conflict, "the session has an owner already");
  Ledger ledger(std::move(fd));
  TRY(ledger.note({{"owner", owner.to_label()}}));
  return ledger;
}

Result<> Ledger::note(const nlohmann::json& record) {
  if (auto r = write_all(fd_.get(), record.dump() + "\n"); !r) return std::unexpected(std::move(r.error()).during("writing the ledger"));
#ifdef __APPLE__
  if (::fsync(fd_.get()) != 0) return fail_errno("flushing the ledger");
#else
  if (::fdatasync(fd_.get()) != 0) return fail_errno("flushing the ledger");
#endif
  die_if_asked(++record_number);
  return {};
}

Result<> Ledger::will_make(const std::vector<Thing>& things) {
  nlohmann::json list = nlohmann::json::array();
  for (const auto& thing : things) list.push_back({{"kind", thing.kind}, {"name", thing.name}});
  return note({{"make", list}});
}

Result<LedgerView> read_ledger(const std::string& directory) {
  std::istringstream lines(TRY(read_file(directory + "/ledger")));
  LedgerView view;
  for (std::string line; std::getline(lines, line);) {
    auto record = nlohmann::json::parse(line, nullptr, false);
    if (!record.is_object()) continue;
    if (record.contains("owner") && record["owner"].is_string()) view.owner = TRY(Owner::from_label(record["owner"]));
    if (record.contains("remote") && record["remote"].is_object()) view.remote = record["remote"];
    if (record.contains("vm") && record["vm"].is_object()) view.vm = record["vm"];
    if (record.contains("plan") && record["plan"].is_object()) view.plan = record["plan"];
    if (record.contains("base") && record["base"].is_string()) view.base = record["base"];
    if (record.contains("running")) view.running = true;
    if (record.contains("engine") && record["engine"].is_string()) view.engine = record["engine"];
    if (record.contains("make") && record["make"].is_array())
      for (const auto& thing : record["make"]) view.things.push_back({thing.value("kind", ""), thing.value("name", "")});
  }
  return view;
}

}  // namespace bottle::session
