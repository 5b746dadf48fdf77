// A session's directory must never be seen without a living owner in its ledger, because other processes remove such
// a directory. It is therefore prepared under a temporary name (UnfinishedDirectory). The file is locked for as long as
// the owner lives.
//
// A record counts only when it would survive a power failure, so each is flushed. The record of a create request is the
// exception: a power failure ends the engine as well.
#include "session/ledger/ledger.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <string>

#include "base/files/durable.h"
#include "base/files/file.h"
#include "base/files/own_file.h"
#include "base/ids.h"
#include "base/os/descriptors.h"
#include "base/os/process_identity.h"
#include "base/text/line.h"
#include "base/text/parse.h"
#include "base/text/path_parts.h"
#include "session/ledger/files.h"

namespace bottle::session {
namespace {

// Used by the crash tests. Kills the launcher, this process, or both with SIGKILL right after record N is on disk, or
// stops this process at that point, so that the test can change things in the meantime.
void die_if_asked(int record) {
  // The parent is read only once, because a process whose parent has died gets another one.
  static const pid_t launcher = ::getppid();
  auto asks = [number = std::to_string(record)](const char* variable) {
    const char* value = std::getenv(variable);
    return value && value == number;
  };
  if (asks("BOTTLE_TEST_KILL_LAUNCHER_AT_RECORD") && launcher > 1 && ::getppid() == launcher) ::kill(launcher, SIGKILL);
  if (asks("BOTTLE_TEST_KILL_AT_RECORD")) ::kill(::getpid(), SIGKILL);
  if (asks("BOTTLE_TEST_STOP_AT_RECORD")) ::kill(::getpid(), SIGSTOP);
}

// Counts the records of this process, for die_if_asked().
std::atomic<int> record_number = 0;

}  // namespace

Owner Owner::self() { return {static_cast<uint32_t>(::getuid()), ProcessIdentity::self()}; }

bool Owner::is_gone() const {
  return !may_be_of_this_boot(process.boot_id) || wait_until_settled(process.pid, process.start_time) == Life::dead;
}

bool Owner::of_this_boot() const { return !process.boot_id.empty() && process.boot_id == this_boot(); }

std::string Owner::to_label() const {
  return std::to_string(uid) + ":" + std::to_string(process.pid) + ":" + process.start_time + ":" + process.boot_id;
}

Result<Owner> Owner::from_label(const std::string& label) {
  auto bad = [&] {
    return fail(Code::invalid, "owner label '" + one_line(label, 100) + "' is not uid:pid:start:boot");
  };
  std::vector<std::string> parts;
  std::istringstream in(label);
  for (std::string part; std::getline(in, part, ':');) parts.push_back(part);
  if (parts.size() != 4 || parts[3].empty()) return bad();
  auto uid = number_in<uint32_t>(parts[0]);
  auto pid = number_in<int>(parts[1]);
  if (!uid || !pid || *pid <= 0) return bad();
  return Owner{*uid, {.pid = *pid, .start_time = parts[2], .boot_id = parts[3]}};
}

Result<Ledger> Ledger::create(const std::string& directory, const Owner& owner, const std::string& id) {
  std::string parent = parent_of(directory), name(name_in(directory));
  TRY(make_directories(parent));
  // This fails for a place that other users can write to, because no ledger in it would be trusted later.
  (void)TRY(open_own_directory(parent));
  // Other processes remove a directory that has no record of a living owner.
  auto unfinished = TRY(UnfinishedDirectory::make(parent, name));
  // The lock is held for life, so that only one process can adopt the session of a dead owner.
  Ledger ledger(TRY(LedgerFile::create(unfinished.path())));
  LedgerRecord first{.owner = owner.to_label()};
  if (!id.empty()) first.id = id;
  TRY(ledger.note(first));
  auto published = unfinished.publish();
  if (!published && published.error().code == Code::conflict)
    return fail(Code::conflict, "session " + name + " already exists on the machine that would run it",
                "choose another --name");
  TRY(published);
  return ledger;
}

Result<Ledger> Ledger::adopt(const std::string& directory, const Owner& owner) {
  // The kernel releases the lock of a dead process, so a locked ledger has a living owner.
  auto file = LedgerFile::take(directory, Deadline::in_ms(0));
  if (!file && file.error().code == Code::timed_out) return fail(Code::conflict, "the session already has an owner");
  Ledger ledger(TRY(std::move(file)));
  TRY(ledger.note({.owner = owner.to_label()}));
  return ledger;
}

Result<> Ledger::note(const LedgerRecord& record) { return append(record, LedgerFile::Flush::yes); }

Result<> Ledger::append(const LedgerRecord& record, LedgerFile::Flush flush) {
  TRY(file_.append(record, flush));
  die_if_asked(++record_number);
  return {};
}

Result<> Ledger::will_use(const std::string& engine, const std::string& id) {
  LedgerRecord record{.engine = engine};
  if (!id.empty()) record.engine_id = id;
  return append(record, LedgerFile::Flush::no);
}

Result<> Ledger::will_make(const std::vector<Thing>& things) { return note({.make = things}); }

Result<> Ledger::will_hold(const Work& work) { return note({.work = work}); }

Result<> Ledger::will_ask(uint64_t end) { return append({.asked = end}, LedgerFile::Flush::no); }

}  // namespace bottle::session
