// Implements the far side of `--remote`: the commands that `bottle` runs over ssh on the machine where the bottle
// runs. `bottle far serve` writes its hello (one line of JSON that describes the machine) and reads one frame from
// stdin, in either order. The frame is a job, for which it starts a supervisor, or an attach to a running session.
// From then on, it passes bytes between the connection and the supervisor. It keeps no state and ends with the
// connection, while the supervisor stays. A job comes without its values. They follow when the near side has judged
// the hello, and the agent does not run before that. The other verbs move archives, each in a separate command.
#pragma once

#include <chrono>
#include <future>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files/directories.h"
#include "docker/client/http_engine.h"
#include "docker/engine.h"
#include "session/ledger/ledger.h"
#include "wire/start/hello.h"

namespace bottle::remote {

// Describes this machine and this program to the far side. The app room fills it in.
struct FarWorld {
  Directories directories;
  // The error says why there is no engine.
  Result<std::string> engine_socket = fail(Code::unavailable, "nothing has looked for an engine yet");
  std::string path_to_self;
  docker::Connect connect = docker::connect;
  // How long a supervisor that lives may not listen, because it begins or ends.
  std::chrono::milliseconds supervisor_patience{5000};
  // How often the near side is told, during a step that takes long, that the far side lives.
  std::chrono::milliseconds pong_every{3000};
  // `serve await-engine`: when the engine first answered (seconds since 1970, by this machine's clock).
  std::optional<double> engine_at = {};
};

// Connects to the engine. Blocks. The error says why there is none.
Result<std::unique_ptr<docker::Engine>> engine_of(const FarWorld& world);
// Connects to the engine that the ledger of session `name` names, and fails if another one answers at that socket. A
// machine may have several, and the one that this command found may not know the session. Blocks.
Result<std::unique_ptr<docker::Engine>> engine_of(const FarWorld& world, const std::string& name,
                                                  const session::LedgerView& ledger);

// Asks the engine for its description of itself. This is the engine's slowest answer, so it is asked first, and only
// once. `world` must outlive the result.
using PendingInfo = std::shared_future<Result<docker::EngineInfo>>;
PendingInfo ask_info(const FarWorld& world);

// Returns the hello. Blocks until `info` has arrived. Fails if this machine's routes cannot be read, because without
// them, the near side would assume that the machine has no LAN.
Result<wire::Hello> far_hello(const FarWorld& world, const PendingInfo& info);

// Returns the path where the public roots of the last start are kept, which is beside the program.
std::string roots_path(const FarWorld& world);

// Runs `bottle far` with these words: serve [await-engine] | warm offline|online | attach SESSION ID (on a terminal) |
// deliver SESSION ID | fetch SESSION ID [ENGINE] | forget SESSION ID [home] | checkpoint SESSION ID [HASH] | layers |
// load | stop SESSION ID. ID is wire::Job::id: a session of the same name with another id belongs to another near side,
// and is left alone. ENGINE is wire::Attach::engine_id. Returns the exit status. Errors go to stderr, except those of
// `serve`, which go to stdout.
int far_main(const FarWorld& world, const std::vector<std::string>& words);

// Call this in place of far_main() if this machine may not run it with these words. For `serve`, writes the reason to
// stdout in place of the hello, because the near side does not read its stderr. For other words, does nothing.
void far_refuse(const Error& why, const std::vector<std::string>& words);

}  // namespace bottle::remote
