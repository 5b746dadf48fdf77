// Undoing: the ledger replayed backwards, every step idempotent.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "docker/engine.h"
#include "session/ledger/ledger.h"
#include "wire/result.h"

namespace bottle::session {

// What is to go, and whose it must be. A name alone is not enough: another session of that name may have come since,
// with its ledger in another place.
struct Belongings {
  std::string session;
  Owner owner;  // as the labels of all that the session made say it
  std::vector<Thing> things;
};

struct Receipt : wire::Receipt {
  bool final = true;  // nothing can come after: no request of a dead client is under way at the engine
};

// What an item of Engine::list_by_label() is called. `kind`: as asked for.
std::string name_of(const nlohmann::json& item, const std::string& kind);

// What the engine must be told to get at that thing (a container's, network's or image's id), if it is there and
// carries the labels of this owner's session; empty where there is none, or it is another session's. Code::conflict: it
// carries the labels of none. Blocking.
Result<std::string> find_own(docker::Engine& engine, const Belongings& whose, const Thing& thing);

// Removes what the ledger names: containers at once, then networks, volumes and images. Blocking, bounded (30 s a
// thing).
Receipt tear_down(docker::Engine& engine, const Belongings& what);

// The same where creates that went over the connections `asked` (docker/abandoned.h) may still be under way at the
// engine though their client is gone (it died, or gave up waiting): does not rest until the engine is done with all of
// them, a minute at most, and removes what came of them. Where the kernel could not say which connections (0), it looks
// for two seconds, and the receipt is not final.
Receipt tear_down_for_good(docker::Engine& engine, const Belongings& what, const std::vector<uint64_t>& asked);

}  // namespace bottle::session
