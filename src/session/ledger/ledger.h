// Implements the write-ahead record of what a session creates. A thing's name is on disk before the thing exists, so
// that a later process knows what to remove after a crash. Each line is a JSON object, and an incomplete last line is
// ignored. Because later commands remove, stop and write to whatever a ledger names, it is read only from our own
// state directory, and only if no other user can have written it. It may contain only names and paths that a session
// of that name has.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files/directories.h"
#include "base/os/process_identity.h"
#include "session/ledger/ledger_file.h"
#include "wire/ledger.h"

namespace bottle::session {

using wire::LedgerRecord, wire::Thing, wire::ThingKind, wire::Work;

// Names the user and the process to which a session belongs.
struct Owner {
  uint32_t uid = 0;
  ProcessIdentity process = {};

  // Returns this process.
  static Owner self();
  // Returns whether the process is known to be dead. Until then, remove nothing that it owns. Waits for a process that
  // is being killed (at most 5 s), because its last threads may still make requests to the engine.
  bool is_gone() const;
  // Returns whether the process is known to be one of this machine and of this boot.
  bool of_this_boot() const;
  // to_label() writes the owner as "uid:pid:start:boot", and from_label() reads that. The text may come from an engine,
  // so from_label() fails with Code::invalid for anything else.
  std::string to_label() const;
  static Result<Owner> from_label(const std::string& label);
};

// Holds the open ledger of the session that this process owns, with its lock. Several threads may append at the same
// time.
class Ledger {
 public:
  // Creates `directory` (mode 0700) and the ledger in it. The owner and the id (wire::Job::id) are its first record.
  // Other processes see either all of that or nothing. Fails with Code::conflict if there is a session of that name,
  // and with Code::denied if others can write to the place, so that the ledger could not be read again. Also fails on a
  // file system without locks, where no sweep could take the ledger.
  static Result<Ledger> create(const std::string& directory, const Owner& owner, const std::string& id = "");

  // Takes over the ledger of a session whose owner died. Fails with Code::conflict if another process owns it, and if
  // the ledger cannot be written or locked.
  static Result<Ledger> adopt(const std::string& directory, const Owner& owner);

  // Records where the session's engine is, and its id unless that is empty. It is on the disk once will_make() returns.
  Result<> will_use(const std::string& engine, const std::string& id);
  // Appends records and flushes them to disk. Returns once they would survive a power failure.
  Result<> will_make(const std::vector<Thing>& things);
  Result<> note(const LedgerRecord& record);
  // Records the work that will have to be brought home. Call it before the agent runs.
  Result<> will_hold(const Work& work);
  // Records that a create request goes to the engine over this connection (docker/client/abandoned.h). Not flushed,
  // because a power failure ends the engine too.
  Result<> will_ask(uint64_t end);
  // Returns the file with its lock, for remove_session_directory().
  LedgerFile release() && { return std::move(file_); }

 private:
  explicit Ledger(LedgerFile file) : file_(std::move(file)) {}
  Result<> append(const LedgerRecord& record, LedgerFile::Flush flush);
  LedgerFile file_;
};

// Says what a ledger contains, with later records replacing earlier ones. It is checked: its names and paths are those
// of its session.
struct LedgerView {
  Owner owner;
  std::string id;             // wire::Job::id; empty if an earlier version started the session
  std::vector<Thing> things;  // in the order in which they were to be made
  std::string engine;         // path of the engine's socket
  // EngineStorage::id of the engine with the session's things. Empty if it is not known. In graves and ledgers that an
  // earlier version wrote, it is only EngineInfo::id. A near side notes the id of the remote machine's engine once the
  // agent may run.
  std::string engine_id;
  // For remote sessions. Has no host if the machine was not made yet.
  std::optional<wire::MachineAddress> machine;
  std::optional<wire::LedgerVm> vm;  // remote sessions: the VM that was made for it
  std::optional<plan::Plan> plan;    // for remote sessions
  // A later version wrote the plan, and this is the first key that this version does not know. Such a plan is enough to
  // end the session and to fetch its work, but not to serve the session's secrets and egress. Usually empty.
  std::string unknown_in_plan;
  std::string base;            // remote sessions: the commit that was sent
  wire::NearShare near_share;  // for remote sessions
  // Whether the agent was started. On a remote machine, it may have been, until the machine says that it was.
  enum class Ran { no, perhaps, yes } ran = Ran::no;
  bool home = false;                         // its work was brought home
  bool foreign = false;                      // another session may own a volume with a name of this session
  std::vector<uint64_t> create_connections;  // the connections over which create requests went
  std::optional<Work> work;                  // empty if there is nothing to bring home or the work is home
  std::optional<int> exit;                   // the agent's exit status, if it ended before its supervisor

  // Returns whether the agent began.
  bool worked() const { return may_have_run() || exit; }
  bool may_have_run() const { return ran != Ran::no; }
  // Returns whether the launch ended while the engine may have been making things (Belongings::cut_short).
  bool cut_short() const { return !create_connections.empty() && !work && !home && !may_have_run() && !foreign; }
};

// Reads the ledger of a session under `directories.sessions`, or of one that was swept and still has this grave
// (graves_of()). Fails with Code::not_found if there is no ledger or no session of that name, and with Code::denied if
// another user may have written the ledger or can write to its place, or if it names things that no session of that
// name makes.
Result<LedgerView> read_ledger(const Directories& directories, const std::string& session);
Result<LedgerView> read_grave(const Directories& directories, const std::string& grave);

// Describes what the paths and names in a ledger must match.
struct LedgerFrame {
  std::string session;
  std::string directory;  // of the session, while it lives
  std::string results;    // the session's directory for results
};
// Parses a ledger. Pure, except that it reads the user's id. Fails like read_ledger().
Result<LedgerView> parse_ledger(const std::string& text, const LedgerFrame& frame);

}  // namespace bottle::session
