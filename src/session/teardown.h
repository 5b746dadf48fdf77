// Undoing: the ledger replayed backwards, every step idempotent.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "docker/engine.h"
#include "session/ledger.h"
#include "session/state.h"

namespace bottle::session {

struct Receipt {
  std::vector<std::string> removed;   // "container bottle-x-agent"
  std::vector<std::string> left;      // what could not be removed, with the reason
  bool confirmed = false;             // the engine, asked by label, has nothing of the session
};
nlohmann::json to_json(const Receipt& receipt);

// Removes what the ledger names: containers at once, then networks. Blocking, bounded (30 s a thing).
Receipt tear_down(docker::Engine& engine, const std::string& session, const std::vector<Thing>& things);

struct Orphan {
  std::string session;
  std::vector<Thing> things;
  std::string engine;
  std::string directory;  // empty: found by label alone
};

// What dead owners left: by ledger under `directories.sessions`, and by label on `engine` (may be null).
Result<std::vector<Orphan>> find_orphans(const Directories& directories, docker::Engine* engine);

// The directory of a session that is confirmed gone, its ledger last.
void remove_session_directory(const std::string& directory);

// Tears the orphans down. The ledger of an orphan whose engine does not answer is kept for the next time.
std::vector<Receipt> sweep(const std::vector<Orphan>& orphans);

}  // namespace bottle::session
