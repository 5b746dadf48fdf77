// The work comes home: what the agent left in its workspace, sanitised, on refs of its own and as a patch.
#pragma once

#include <nlohmann/json.hpp>

#include "docker/engine.h"
#include "session/job.h"
#include "workspace/workspace.h"

namespace bottle::session {

// Blocking. Never touches the checked-out tree. An error is part of the answer ("error"), since teardown goes on.
nlohmann::json collect(docker::Engine& engine, const Job& job, const workspace::Summary& sent);

}  // namespace bottle::session
