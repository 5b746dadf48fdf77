// Finds what still has the work of a session that has ended.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "docker/engine.h"
#include "session/ledger/teardown.h"

namespace bottle::session {

// Says who reads the advice of an error: a person on this machine, or the operator on the near side, who may have a
// directory with the same path, and whose own record of the session must go, too.
enum class AdviceFor { this_machine, near_side };

// Connects to the engine of a session whose owner has ended. `directory` is the session's, for the advice. Fails with
// Code::unavailable if another engine answers at that socket now, because it does not know the session: what it does
// not have may be on the right one. Blocks.
Result<std::unique_ptr<docker::Engine>> reach_engine(const LedgerView& view, const std::string& directory,
                                                     const docker::Connect& connect, AdviceFor reader);

// Call this before anything is concluded from what is missing on the engine of reach_engine(). Fails with
// Code::unavailable if the engine has nothing that the session's ledger names, and does not have the data that it had
// when the session started. The things will be there again once the engine has its data. Succeeds if an earlier version
// wrote the ledger, which then does not say which data these were. Blocks.
Result<> check_has_data(docker::Engine& engine, const std::string& session, const LedgerView& view,
                        const std::string& directory, AdviceFor reader);

// Call this when the engine of reach_engine() has none of a session's work. Fails with Code::unavailable if that does
// not prove that the work is gone, because the engine may have started without the disk that has its data, or because
// an earlier version started the session and did not record which data the engine had. Blocks.
Result<> check_gone(docker::Engine& engine, const LedgerView& view, const std::string& directory, AdviceFor reader);

// Returns how to address a container through which the engine reads the session's workspace at `workdir`. That is the
// agent's container. If it is gone, for example because someone removed all stopped containers, and the volume with
// the work is still there, makes a container of the same name, which never starts: the ledger names it already. Returns
// nothing if neither exists. `directory` is the session's. `note` records the connection of a create request before it
// is sent (Engine::note_creates); it is empty if the session has no ledger. Fails if this cannot be known or done; even
// then, there may be work. Blocks.
Result<std::optional<std::string>> reach_work(docker::Engine& engine, const Belongings& whose,
                                              const std::string& directory, const std::string& workdir,
                                              std::function<Result<>(uint64_t end)> note);

// Records the connection in the ledger of a session whose owner has ended, as Ledger::will_ask() does for its owner.
Result<> note_asked(const std::string& directory, uint64_t end);

// Stops that container, so that nothing changes the work while it is collected. Succeeds if it does not run. Fails if
// it may still run. Blocks.
Result<> stop_container_with_work(docker::Engine& engine, const std::string& container);

}  // namespace bottle::session
