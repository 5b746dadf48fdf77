// Fills the agent's container: the inside helper, the home directory, the skills and the workspace.
#pragma once

#include <functional>
#include <string>

#include "docker/engine.h"
#include "transfer/delivery.h"
#include "wire/job.h"
#include "workspace/workspace.h"

namespace bottle::session {

// Writes the part of the archive that is not ours, and ends the archive. `is_over`: the container cannot be filled any
// more, so waiting for more is pointless.
using PutRest = std::function<Result<workspace::Summary>(const Sink& sink, const std::function<bool()>& is_over)>;

// The workspace of this machine.
Result<workspace::Summary> put_workspace(const Job& job, const Sink& sink);

// What the near side delivers: skills and workspace. Blocks until it has come, for two minutes at most, or until
// `is_over`.
Result<workspace::Summary> put_delivery(DeliveryPoint& delivery, const Sink& sink,
                                        const std::function<bool()>& is_over);

// Makes the container with `create` and fills it. The archive is begun at once, so that a clone does not wait for the
// engine. `show` is told how much was copied. Blocking.
Result<workspace::Summary> fill_agent(docker::Engine& engine, const Job& job, const std::string& container,
                                      const std::function<Result<>()>& create, const PutRest& put_rest,
                                      const std::function<void(const std::string&)>& show);

}  // namespace bottle::session
