// Makes the image of an agent on this machine.
#pragma once

#include "base/error.h"
#include "docker/engine.h"
#include "plan/plan.h"
#include "session/images/agent_image.h"

namespace bottle::session {

// Builds image.reference by its recipe, even if an image with that name exists. Blocks for minutes. No downloaded
// program runs on this machine itself: the agent's program starts for the first time, and the scripts of the Debian
// packages run, in a container without a network. If one of these fails, the name stays with the image that had it
// before. A stop ends the build with Code::canceled; the engine must stop on it too.
Result<> build_agent_image(docker::Engine& engine, const plan::Image& image, const Making& making);

}  // namespace bottle::session
