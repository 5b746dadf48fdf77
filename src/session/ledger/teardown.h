// Undoing: the ledger replayed backwards, every step idempotent.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "docker/engine.h"
#include "session/ledger/ledger.h"

namespace bottle::session {

struct Receipt {
  std::string session;
  std::vector<std::string> removed;  // "container bottle-x-agent"
  std::vector<std::string> left;     // what could not be removed, with the reason
  bool confirmed = false;            // the engine, asked by label, has nothing of the session
  bool final = true;                 // nothing can come after: no request of a dead client is under way at the engine
};
nlohmann::json to_json(const Receipt& receipt);

// Removes what the ledger names: containers at once, then networks and volumes. Blocking, bounded (30 s a thing).
Receipt tear_down(docker::Engine& engine, const std::string& session, const std::vector<Thing>& things);

// The same where creates that went over the connections `asked` (docker/abandoned.h) may still be under way at the
// engine though their client is gone (it died, or gave up waiting): does not rest until the engine is done with all of
// them, a minute at most, and removes what came of them. Where the kernel could not say which connections (0), it looks
// for two seconds, and the receipt is not final.
Receipt tear_down_for_good(docker::Engine& engine, const std::string& session, const std::vector<Thing>& things,
                           const std::vector<uint64_t>& asked);

}  // namespace bottle::session
