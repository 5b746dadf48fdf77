// Makes the image of an agent on this machine.
#pragma once

#include <functional>
#include <string>

#include "base/directories.h"
#include "base/error.h"
#include "docker/engine.h"
#include "plan/plan.h"

namespace bottle::session {

// Builds image.reference by its recipe, whatever has that name now. Lines for a person go to `progress`. Blocking,
// minutes. Nothing that is downloaded runs on this machine: the agent's program starts for the first time, and the
// Debian packages' scripts run, in a container without a network. If one of these fails, the name stays with the image
// that had it before. What the build has on the engine meanwhile is recorded under `directories`.
Result<> build_agent_image(docker::Engine& engine, const Directories& directories, const plan::Image& image,
                           const std::function<void(const std::string&)>& progress, bool refresh);

}  // namespace bottle::session
