// A session's directory must never be seen without a living owner in its ledger, because other processes remove such
// a directory. It is therefore prepared under a temporary name and appears through rename(2). The same call decides
// atomically whether the name is free, because it replaces only an empty directory. The file is then locked for as
// long as the owner lives.
//
// A record counts only when it would survive a power failure, so each is flushed, and after the rename the directory
// above is flushed too. The record of a create request is the exception: a power failure ends the engine as well.
#include "session/ledger/ledger.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <string>

#include "base/defer.h"
#include "base/files/durable.h"
#include "base/files/file.h"
#include "base/files/own_file.h"
#include "base/ids.h"
#include "base/os/descriptors.h"
#include "base/os/process_identity.h"
#include "base/text/line.h"
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

const char* const kUnborn = ".new-";

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
  Owner owner{.process = {.start_time = parts[2], .boot_id = parts[3]}};
  auto number = [](const std::string& text, auto& to) {
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), to);
    return error == std::errc() && end == text.data() + text.size();
  };
  if (!number(parts[0], owner.uid) || !number(parts[1], owner.process.pid) || owner.process.pid <= 0) return bad();
  return owner;
}

Result<Ledger> Ledger::create(const std::string& directory, const Owner& owner, const std::string& id) {
  // The directory is first made under another name, because other processes remove a directory that has no record of a
  // living owner.
  size_t slash = directory.rfind('/');
  std::string parent = directory.substr(0, slash), name = directory.substr(slash + 1);
  std::string unborn = parent + "/" + kUnborn + name + "-" + random_hex(4), path = unborn + "/" + kLedger;
  TRY(make_directories(parent));
  // This fails for a place that other users can write to, because no ledger in it would be trusted later.
  (void)TRY(open_own_directory(parent));
  TRY(make_directories(unborn));
  Defer remove([&] {
    ::unlink(path.c_str());
    ::rmdir(unborn.c_str());
  });
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600));
  if (!fd) return fail_errno("creating the ledger " + path);
  // The lock is held for life, so that only one process can adopt the session of a dead owner.
  ::flock(fd.get(), LOCK_EX | LOCK_NB);
  Ledger ledger(std::move(fd));
  LedgerRecord first{.owner = owner.to_label()};
  if (!id.empty()) first.id = id;
  TRY(ledger.note(first));
  if (::rename(unborn.c_str(), directory.c_str()) != 0) {
    // rename(2) reports these if the name belongs to a directory with files or to a file.
    if (errno == EEXIST || errno == ENOTEMPTY || errno == ENOTDIR)
      return fail(Code::conflict, "session " + name + " already exists", "see `bottle list`");
    return fail_errno("creating " + directory);
  }
  remove.dismiss();
  UniqueFd above(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!above) return fail_errno("flushing " + parent);
  TRY(flush_directory(above.get(), parent));
  return ledger;
}

Result<Ledger> Ledger::adopt(const std::string& directory, const Owner& owner) {
  std::string path = directory + "/" + kLedger;
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_APPEND | O_CLOEXEC));
  if (!fd) return fail_errno("opening the ledger " + path);
  // The kernel releases the lock of a dead process, so a locked ledger has a living owner.
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return fail(Code::conflict, "the session already has an owner");
  Ledger ledger(std::move(fd));
  TRY(ledger.note({.owner = owner.to_label()}));
  return ledger;
}

Result<> end_last_line(int fd) {
  struct stat file{};
  char last = '\n';
  if (::fstat(fd, &file) != 0) return fail_errno("looking at the ledger");
  if (file.st_size > 0 && ::pread(fd, &last, 1, file.st_size - 1) != 1) return fail_errno("reading the ledger");
  if (last == '\n') return {};
  if (auto r = write_all(fd, "\n"); !r) return std::unexpected(std::move(r.error()).during("writing the ledger"));
  return {};
}

Result<> Ledger::note(const LedgerRecord& record) { return append(record, true); }

Result<> Ledger::append(const LedgerRecord& record, bool flush) {
  TRY(end_last_line(fd_.get()));
  // The line is written with one call, because several threads append.
  std::string line = TRY(wire::encode_exactly(record)) + "\n";
  if (auto r = write_all(fd_.get(), line); !r)
    return std::unexpected(std::move(r.error()).during("writing the ledger"));
  if (flush && flush_data(fd_.get()) != 0) return fail_errno("flushing the ledger");
  die_if_asked(++record_number);
  return {};
}

Result<> Ledger::will_use(const std::string& engine) { return append({.engine = engine}, false); }

Result<> Ledger::will_make(const std::vector<Thing>& things) { return note({.make = things}); }

Result<> Ledger::will_hold(const Work& work) { return note({.work = work}); }

// Like a session's directory, a grave appears through a rename, with its complete content.
Result<> write_grave(const Directories& directories, const std::string& session, const std::string& engine,
                     const std::vector<Thing>& things) {
  std::string graves = graves_in(directories), unborn = graves + "/" + kUnborn + session + "-" + random_hex(4);
  TRY(make_directories(graves));
  (void)TRY(open_own_directory(graves));
  TRY(make_directories(unborn));
  Defer remove([&] {
    ::unlink((unborn + "/" + kLedger).c_str());
    ::rmdir(unborn.c_str());
  });
  std::string text;
  for (const LedgerRecord& record :
       {LedgerRecord{.owner = Owner::self().to_label()}, {.engine = engine}, {.make = things}})
    text += TRY(wire::encode_exactly(record)) + "\n";
  // All records are written together, so that no reader finds a grave that names nothing.
  TRY(write_file_atomically(unborn + "/" + kLedger, text));
  if (std::rename(unborn.c_str(), (graves + "/" + session).c_str()) != 0)
    return fail_errno("creating " + graves + "/" + session);
  remove.dismiss();
  UniqueFd above(::open(graves.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!above) return fail_errno("flushing " + graves);
  return flush_directory(above.get(), graves);
}

void remove_grave(const Directories& directories, const std::string& session) {
  std::string grave = graves_in(directories) + "/" + session;
  ::unlink((grave + "/" + kLedger).c_str());
  ::rmdir(grave.c_str());
}

Result<> Ledger::will_ask(uint64_t end) { return append({.asked = end}, false); }

}  // namespace bottle::session
