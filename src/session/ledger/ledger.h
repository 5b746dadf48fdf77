// The write-ahead record of what a session creates: a thing's name is on disk before the thing exists, so that
// whoever comes after a crash knows what to remove. One JSON object a line; a torn last line is ignored.
//
// What a ledger names is removed, stopped and written to. So only one that nobody else can have written is read, from
// our own state directory, and only names and paths that a session of that name has are believed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/directories.h"
#include "base/error.h"
#include "base/unique_fd.h"
#include "wire/ledger.h"

namespace bottle::session {

using wire::LedgerRecord, wire::Thing, wire::Work;

// Who owns a session: enough to tell a live owner from a process that got its number.
struct Owner {
  uint32_t uid = 0;
  int pid = 0;
  std::string start_time, boot_id;

  static Owner self();
  // A process that is being killed is waited for (5 s at most): what its last threads ask of the engine counts as its
  // own.
  bool alive() const;
  std::string to_label() const;
  static Result<Owner> from_label(const std::string& label);
};

// How the directory of a session begins whose ledger has no owner's record yet.
extern const char* const kUnborn;

class Ledger {
 public:
  // Creates `directory` (mode 0700) and the ledger in it, with the owner as its first record; whoever looks finds all
  // of that or nothing. Code::conflict: there is a session of that name. Code::denied: others can write to where it
  // would be, so that it would not be read again.
  static Result<Ledger> create(const std::string& directory, const Owner& owner);

  // Takes over the ledger of a session whose owner died. Code::conflict if somebody lives in it.
  static Result<Ledger> adopt(const std::string& directory, const Owner& owner);

  // Appends and flushes to disk; returns only when the record would survive a power cut.
  Result<> will_make(const std::vector<Thing>& things);
  Result<> note(const LedgerRecord& record);
  // Before the agent runs: from here on there is something to lose.
  Result<> will_hold(const Work& work);
  // A create goes to the engine over this connection (docker/abandoned.h). Not flushed: a power cut ends the engine
  // too.
  Result<> will_ask(uint64_t end);

 private:
  explicit Ledger(UniqueFd fd) : fd_(std::move(fd)) {}
  Result<> append(const LedgerRecord& record, bool flush);
  UniqueFd fd_;
};

struct LedgerView {
  Owner owner;
  std::vector<Thing> things;  // in the order in which they were to be made
  std::string engine;         // the engine's socket
  std::optional<wire::Far>
      remote;  // of a session on another machine: how to reach it; no host: it was still to be made
  std::optional<wire::LedgerVm> vm;  // same: the machine was made for it
  std::optional<plan::Plan> plan;    // same
  std::string base;                  // same: the commit that was sent
  bool tunnel = false;               // same: its secrets stay here
  bool offline = false;              // same: the machine has no network of its own
  bool running = false;              // the agent was let run, or on another machine may have been
  bool home = false;                 // what it did is here
  std::vector<uint64_t> asked;       // the connections over which creates went
  std::optional<Work> work;          // none: nothing to bring home, or it is home
  std::optional<int> exit;           // the agent's, if it ended before its supervisor did
};

// Of a session under `directories.sessions`, or of one that was swept and is remembered (sweep.h). Code::not_found:
// there is no ledger, or no session of that name; Code::denied: it, or where it is, may be another's writing, or it
// names what no session of that name makes.
Result<LedgerView> read_ledger(const Directories& directories, const std::string& session);
Result<LedgerView> read_grave(const Directories& directories, const std::string& session);
std::string graves_in(const Directories& directories);
// Remembers there what this process is about to make and will have removed within one command; remove_grave() forgets
// it. Blocking: it survives a power cut.
Result<> write_grave(const Directories& directories, const std::string& session, const std::string& engine,
                     const std::vector<Thing>& things);
void remove_grave(const Directories& directories, const std::string& session);

// What the paths and names in a ledger must fit.
struct LedgerFrame {
  std::string session;
  std::string directory;  // of the session, while it lives
  std::string results;    // likewise
};
// Pure but for the user's number. Errors as above.
Result<LedgerView> parse_ledger(const std::string& text, const LedgerFrame& frame);

}  // namespace bottle::session
