// The images a session needs. The guard's is made here, from the bytes that `bottle` carries.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "docker/engine.h"
#include "plan/plan.h"

namespace bottle::session {

std::string_view guard_program();
std::string_view inside_program();

// Imports the guard's FROM scratch image if the engine lacks this version. Its reference. Blocking.
Result<std::string> ensure_guard_image(docker::Engine& engine);

// Builds the plan's agent image if the engine lacks it: a root file system made with the machine's own package
// managers, no image registry. Progress lines go to `progress`. Minutes the first time, then nothing.
Result<> ensure_agent_image(docker::Engine& engine, const plan::Image& image, const std::function<void(const std::string&)>& progress);

}  // namespace bottle::session
