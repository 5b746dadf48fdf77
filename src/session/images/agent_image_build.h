// This file makes the image of an agent on this machine.
#pragma once

#include <functional>
#include <stop_token>
#include <string>

#include "base/error.h"
#include "base/files/directories.h"
#include "docker/engine.h"
#include "plan/plan.h"

namespace bottle::session {

// Builds image.reference by its recipe, even if an image with that name exists. Sends progress lines for the operator
// to `progress`. Blocks for minutes. Nothing that is downloaded runs on this machine itself: the first start of the
// agent's program and the scripts of the Debian packages run in a container without a network. If one of these fails,
// the name stays with the image that had it before. What the build has on the engine in the meantime is recorded under
// `directories`. A stop ends the build with Code::canceled; the engine must heed it too.
Result<> build_agent_image(docker::Engine& engine, const Directories& directories, const plan::Image& image,
                           const std::function<void(const std::string&)>& progress, bool refresh,
                           const std::stop_token& stop = {});

}  // namespace bottle::session
