// Counts what an agent has written, in a separate container. The agent's container has no capabilities, so no process
// in it could read every directory. The meter's container has two, runs our own program and has no network.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "base/error.h"
#include "docker/engine.h"
#include "session/ledger/names.h"
#include "wire/guard/written_count.h"
#include "wire/start/job.h"

namespace bottle::session {

// Counts what the session's agent has written since its container started. `labels` are for the meter's container,
// which the session's ledger must name. `behind` is how far the clock was set back since then, if it was
// (ClockSteps::furthest_behind()). Blocks, for a minute at most. Uses an ordinary container with CPU and memory limits,
// and removes it afterward.
Result<wire::WrittenCount> count_written(docker::Engine& engine, const wire::Job& job, const Labels& labels,
                                         std::chrono::seconds behind);

// Holds the description of the meter's container for the engine.
struct MeterContainer {
  nlohmann::json config;
  bool needs_layer = false;
};
// Describes the meter's container. `agent` is the engine's description of the agent's container. The meter mounts all
// volumes that are mounted there. The runtime decides how to count the rest. Containers of runc share a kernel, so the
// meter joins the agent's process namespace and sees its root and the files that its processes have open. Other
// runtimes have their own kernels, so the meter sees only the volumes, and the engine must measure the layer
// (`needs_layer`). If the clock was `behind`, files from so long before the start of the agent's container count as
// well, which counts too much rather than too little. Fails with Code::protocol if the engine does not say when the
// agent's container started, or what is mounted in it. Pure.
Result<MeterContainer> meter_container(const nlohmann::json& agent, const Labels& labels,
                                       std::chrono::seconds behind = {});

}  // namespace bottle::session
