// What dead owners left: found by our ledgers, its work brought home, then removed. What has no ledger: unrecorded.h.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/directories.h"
#include "session/ledger/ledger.h"
#include "session/ledger/teardown.h"

namespace bottle::session {

struct Orphan {
  std::string session;
  Owner owner;
  std::vector<Thing> things;
  std::string engine;
  std::string directory;        // of its ledger; empty: it is in a grave
  std::vector<uint64_t> asked;  // as in LedgerView
  std::optional<Work> work;     // not home yet
  std::optional<int> exit;
  std::string grave;             // the directory that remembers it, if it was swept before
  std::optional<Error> refused;  // why its ledger is not believed: nothing else is known of it, and nothing is done
};

// By ledger under `directories`, and by nothing else: what the engine's labels say, an image may have brought.
std::vector<Orphan> find_orphans(const Directories& directories);

struct Swept {
  Receipt receipt;
  std::optional<wire::Back> back;  // what came home; nothing: there was nothing to bring
};

// What there is to say of a session that ended by that.
constexpr const char* kSupervisorDied = "the session's supervisor died, and the agent was stopped";

// Brings home what the agents of the orphans did, and tears down. The ledger of an orphan whose engine does not answer,
// or whose work cannot be brought home, is kept for the next time. Several may sweep at once: each orphan is swept by
// one, and the others wait for it (a minute at most).
std::vector<Swept> sweep(const Directories& directories, const std::vector<Orphan>& orphans);

// The directory of a session that is confirmed gone. The ledger last: as long as it is there, the next sweep tries
// again.
void remove_session_directory(const std::string& directory);

// Forgets a session of ours that is over: its directory. If the receipt is not final, a grave remembers what to look
// for.
void forget(const Directories& directories, const std::string& directory, const Receipt& receipt);

}  // namespace bottle::session
