// Fills the agent's container with the inside helper, the home directory, the skills and the workspace.
#pragma once

#include <functional>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/progress.h"
#include "docker/engine.h"
#include "transfer/delivery.h"
#include "wire/start/job.h"
#include "workspace/workspace.h"

namespace bottle::session {

// The type of functions that write the rest of the archive, after bottle's own files, and end it. `is_over` returns
// true once the container can no longer be filled, so that they can stop waiting for more data.
using PutRest = std::function<Result<workspace::Summary>(const Sink& sink, const std::function<bool()>& is_over)>;

// Writes the workspace on this machine. A stop ends it with Code::canceled.
Result<workspace::Summary> put_workspace(const wire::Job& job, const Sink& sink, const std::stop_token& stop = {});

// Writes what the near side delivers, which is the skills and the workspace. Blocks until all of it has arrived or
// `is_over` returns true, for at most two minutes.
Result<workspace::Summary> put_delivery(transfer::DeliveryPoint& delivery, const Sink& sink,
                                        const std::function<bool()>& is_over);

// Describes how fill_agent() makes and fills one container. The callbacks run on its two threads: `put_rest` on one,
// and `create` and `progress` on the other.
struct Filling {
  std::string container;             // its name
  std::string_view inside;           // the inside helper for the container's processor
  std::function<Result<>()> create;  // makes the container
  PutRest put_rest;                  // writes what follows bottle's own files
  Progress progress;                 // receives how much was copied
  std::stop_token stop = {};
};

// Makes the agent's container and fills it. Starts writing the archive immediately, so that a clone does not wait for
// the engine. Blocks. Fails with Code::canceled after a stop.
Result<workspace::Summary> fill_agent(docker::Engine& engine, const wire::Job& job, const Filling& filling);

}  // namespace bottle::session
