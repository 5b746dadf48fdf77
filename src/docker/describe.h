// Asks an engine for everything that it says about itself.
#pragma once

#include "base/error.h"
#include "docker/engine.h"

namespace bottle::docker {

// Returns the answer of Engine::info() with EngineInfo::data_id, which it asks for at the same time. Blocks.
Result<EngineInfo> describe(Engine& engine);

}  // namespace bottle::docker
