// The far side of `--remote`: what `bottle` does on the machine where the bottle runs, when it is asked over ssh.
//
// `bottle far serve` says hello (one line of JSON: who and what is here) and takes one frame on stdin, whichever comes
// first: a job, for which it starts a supervisor, or attach, for one that runs; from then on it passes bytes between
// the two. It is nobody: when the connection goes, it goes, and the supervisor stays. A job comes without its values;
// they follow when the near side has seen the hello, and until then nothing runs. The other verbs move archives, each
// on a command of its own.
#pragma once

#include <future>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/directories.h"
#include "base/error.h"
#include "docker/engine.h"
#include "wire/hello.h"

namespace bottle::remote {

using session::Directories;

// What the far side must know of itself; gathered by app.
struct FarWorld {
  Directories directories;
  std::string engine_socket;  // empty: none was found
  std::string engine_error;   // why, and what to do
  std::string path_to_self;
  double engine_at =
      0;  // `serve await-engine`: when the engine first answered (seconds since 1970, this machine's clock)
};

// Blocking. The error says why there is none, and what to do.
Result<docker::Engine> engine_of(const FarWorld& world);

// What the engine says of itself: the engine's slowest answer, so asked for first, and once. `world` must outlive it.
using EngineInfo = std::shared_future<Result<nlohmann::json>>;
EngineInfo ask_info(const FarWorld& world);

// Blocking: waits for `info`.
wire::Hello far_hello(const FarWorld& world, const EngineInfo& info);

// Where the public roots of the last start are kept: beside the program.
std::string roots_path(const FarWorld& world);

// serve [await-engine] | warm offline|online | attach SESSION (on a terminal) | deliver SESSION | fetch SESSION |
// forget SESSION | checkpoint SESSION [HASH] | layers | load | stop SESSION. The exit status; errors are told on
// stderr.
int far_main(const FarWorld& world, const std::vector<std::string>& words);

}  // namespace bottle::remote
