// Tests with a container, under a time limit, whether a runtime that the engine lists works.
#pragma once

#include <string>

#include "base/files/directories.h"
#include "docker/engine.h"

namespace bottle::session {

// Describes the outcome of a trial.
struct RuntimeTrial {
  std::string name;
  std::string problem;  // empty if the runtime works
  int milliseconds = 0;
};

// Runs the guard's program, which exits immediately, in a container without a network. Always removes the container.
// If this process dies first, the next sweep removes it. Blocks for up to half a minute if the runtime hangs.
RuntimeTrial try_runtime(docker::Engine& engine, const Directories& directories, const std::string& image,
                         const std::string& runtime);

// Tries the runtime that a plan names ("auto" means the engine's default) unless it has passed before with the same
// engine, engine version and runtime program. `memory` is the file that records passed trials. Blocks as try_runtime()
// does. Fails with Code::unavailable if the runtime does not work.
Result<> ensure_runtime(docker::Engine& engine, const Directories& directories, const docker::EngineInfo& info,
                        const std::string& memory, const std::string& runtime);

}  // namespace bottle::session
