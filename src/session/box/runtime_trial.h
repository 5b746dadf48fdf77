// Whether a runtime that the engine lists does what it is for: found out with a container, under a time limit.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "base/directories.h"
#include "docker/engine.h"

namespace bottle::session {

struct RuntimeTrial {
  std::string name;
  std::string problem;  // empty: it works
  int milliseconds = 0;
};

// Runs the guard's program, which has nothing to do, in a container that has no network. Whatever happens, the
// container goes; if we die first, the next sweep does it. Blocking: half a minute with a runtime that hangs.
RuntimeTrial try_runtime(docker::Engine& engine, const Directories& directories, const std::string& image,
                         const std::string& runtime);

// Tries the runtime that a plan names ("auto": the engine's default one) unless it passed before: on this engine, of
// this version, as this very program. `info`: what the engine says of itself. `memory`: the file that remembers it.
Result<> ensure_runtime(docker::Engine& engine, const Directories& directories, const nlohmann::json& info,
                        const std::string& memory, const std::string& runtime);

}  // namespace bottle::session
