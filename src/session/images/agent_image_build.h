// Makes the image of an agent on this machine.
#pragma once

#include "base/error.h"
#include "docker/engine.h"
#include "plan/plan.h"
#include "session/images/agent_image.h"

namespace bottle::session {

// Builds image.reference by its recipe, even if an image with that name exists. Blocks for minutes. Nothing that is
// downloaded runs on this machine itself: the first start of the agent's program and the scripts of the Debian packages
// run in a container without a network. If one of these fails, the name stays with the image that had it before. A stop
// ends the build with Code::canceled; the engine must heed it too.
Result<> build_agent_image(docker::Engine& engine, const plan::Image& image, const Making& making);

}  // namespace bottle::session
