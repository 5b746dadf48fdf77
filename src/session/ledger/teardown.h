// Removes the things that a ledger names, in reverse order. Every step is idempotent.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "docker/engine.h"
#include "session/ledger/ledger.h"
#include "session/ledger/names.h"
#include "wire/result.h"

namespace bottle::session {

// What to remove, and who must own it. A name alone is not enough, because another session of the same name, with
// its ledger elsewhere, may have started since.
struct Belongings {
  std::string session;
  Owner owner;  // as in the labels of everything that the session made
  std::vector<Thing> things;
  // Set if the launch asked the engine to make things, under names that were free then, but ended before the agent ran,
  // and found no volume of another session. An engine that exits while it makes a volume keeps the volume but not its
  // labels, so in this case a volume without any labels is ours, too.
  bool cut_short = false;
};

// Returns everything that the ledger of a session names.
Belongings belongings_of(const std::string& session, const LedgerView& view);

struct TornDown {
  wire::Receipt receipt;
  bool may_reappear = false;  // the engine may still have a request of a dead client under way, which makes something
};

// A thing on the engine that has a certain label.
struct Labeled {
  Thing thing;
  Labels labels;  // without those whose values are not text
};
// Lists the things of a kind that have the label `label`, which is `key` or `key=value`. Blocks.
Result<std::vector<Labeled>> list_labeled(docker::Engine& engine, ThingKind kind, const std::string& label);

// Returns what the engine says about a thing. Fails with Code::not_found if there is none. Blocks.
Result<nlohmann::json> inspect(docker::Engine& engine, const Thing& thing);

// Returns how to address a thing on the engine (the id of a container, network or image) if it exists and has the
// labels of this owner's session, or is a half-made volume of it. Returns nothing if it does not exist or belongs to
// another session. Fails with Code::conflict if it has no session's labels. Blocks.
Result<std::optional<std::string>> find_own(docker::Engine& engine, const Belongings& whose, const Thing& thing);

// Removes a thing that find_own() finds. Succeeds if it finds none. Blocks for at most 30 s.
Result<> remove_own(docker::Engine& engine, const Belongings& whose, const Thing& thing);

// Removes what the ledger names: first the containers, in parallel, then networks, volumes and images. Blocks for at
// most 30 s per thing.
wire::Receipt tear_down(docker::Engine& engine, const Belongings& what);

// Does the same when create requests that went over `create_connections` (Engine::note_creates) may still be under
// way at the engine, because their client died or gave up waiting. Repeats until the engine is done with all of them,
// for at most a minute, and removes what they made. If the kernel could not identify a connection (0), it repeats for
// two seconds, and things may reappear.
TornDown tear_down_for_good(docker::Engine& engine, const Belongings& what,
                            const std::vector<uint64_t>& create_connections);

// Does the same, but leaves the agent's container and the volumes, because they hold the agent's work. The receipt says
// so, and adds `about` to the name of the container. The receipt is never confirmed, so the session's ledger stays.
TornDown tear_down_except_work(docker::Engine& engine, Belongings what, const std::string& about,
                               const std::vector<uint64_t>& asked = {});

}  // namespace bottle::session
