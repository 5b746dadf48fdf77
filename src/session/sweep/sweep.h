// Sweeps dead sessions: finds them by our ledgers, brings their work home and removes their things. unrecorded.h
// handles things without a ledger.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/files/directories.h"
#include "docker/engine.h"
#include "session/ledger/ledger.h"
#include "session/ledger/teardown.h"

namespace bottle::session {

// Describes a dead session, as its ledger or its grave does. find_orphans() makes it and sweep() acts on it.
struct Orphan {
  std::string session;
  Owner owner;
  std::vector<Thing> things;
  std::string engine;            // path of the engine's socket
  std::string directory;         // the directory of its ledger; empty if the session has only a grave
  std::vector<uint64_t> asked;   // as in LedgerView
  std::optional<Work> work;      // set if the work is not home yet
  bool worked = false;           // the ledger says that the agent began
  std::optional<int> exit;       // the agent's exit status, if it is known
  bool cut_short = false;        // as in Belongings
  std::string grave;             // the directory of its grave, if it was swept before
  std::optional<Error> refused;  // why its ledger is not accepted; then nothing else is known and nothing is done
};

// Finds sessions only by the ledgers under `directories`, because an image may have any of the labels. A directory that
// cannot be read becomes an orphan without a name that is refused, so that a sweep reports it.
std::vector<Orphan> find_orphans(const Directories& directories);

// Says what a sweep did to one session. If the receipt is not confirmed, something is left, and the receipt names it.
struct Swept {
  Receipt receipt;
  std::optional<wire::WorkResult> back;  // what was brought home; empty if there was nothing
};

// The explanation for a session whose supervisor died.
constexpr const char* kSupervisorDied = "the session's supervisor died, and the agent was stopped";

// Brings home the work of the orphans and tears them down. If an orphan's engine does not answer, or its work cannot
// be brought home, its ledger is kept for the next time. Several processes may sweep at the same time. One sweeps
// each orphan, and the others wait for it (at most a minute). `connect` reaches the engine that a ledger names.
std::vector<Swept> sweep(const Directories& directories, const std::vector<Orphan>& orphans,
                         const docker::Connect& connect);

// Removes the directory of a session that is confirmed gone. Removes the ledger last, because the next sweep tries
// again as long as the ledger exists.
void remove_session_directory(const std::string& directory);

// Removes the directory of one of our sessions that is over. If the receipt is not final, keeps a grave that records
// what to look for.
void forget(const Directories& directories, const std::string& directory, const Receipt& receipt);

}  // namespace bottle::session
