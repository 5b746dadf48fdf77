// Makes the guard's image from the program that `bottle` carries in its own file.
#pragma once

#include <string>

#include "base/error.h"
#include "docker/engine.h"

namespace bottle::session {

// Returns the reference of this program's guard image, existing or not, on an engine with the same processor.
std::string guard_reference();

// Imports the guard's FROM scratch image for the engine's processor if the engine does not have this version. Returns
// its reference. Fails if the guard for that processor is missing (programs.h). Blocks.
Result<std::string> ensure_guard_image(docker::Engine& engine);

}  // namespace bottle::session
