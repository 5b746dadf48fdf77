// This file counts what an agent has written, in a container of its own. The agent's container has no capabilities, so
// nobody in it could look into every directory; this one has two, runs a program of ours and has no network.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "docker/engine.h"
#include "wire/start/job.h"

namespace bottle::session {

struct Written {
  uint64_t bytes = 0;
  bool complete = false;  // false if something could not be read
};

// Counts what the session's agent has written since its container started. `labels` are for the meter's container,
// which the session's ledger must name. Blocks, for a minute at most. The engine sees an ordinary container with CPU
// and memory limits; it is gone afterwards.
Result<Written> count_written(docker::Engine& engine, const Job& job, const nlohmann::json& labels);

// Describes the meter's container. `agent` is the engine's description of the agent's container. Its runtime decides
// how to look: containers of runc share a kernel, so the meter joins the agent's process namespace, sees its root and
// the files that its processes have open. Other runtimes have kernels of their own; the meter then sees the volumes,
// and the engine must measure the layer (`needs_layer`).
struct MeterContainer {
  nlohmann::json config;
  bool needs_layer = false;
};
Result<MeterContainer> meter_container(const nlohmann::json& agent, const Job& job, const nlohmann::json& labels);

}  // namespace bottle::session
