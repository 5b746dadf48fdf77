// Fills the agent's container with the inside helper, the home directory, the skills and the workspace.
#pragma once

#include <functional>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/progress.h"
#include "docker/engine.h"
#include "session/images/ready_image.h"
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

// Returns what the container of each session with such a plan begins with. `inside` is the inside helper for the
// processor of the image, whose id is `image_id`. Pure.
ReadyParts ready_parts(const plan::Plan& plan, std::string_view inside, std::string image_id);

// Says what the agent's container was made from.
enum class MadeFrom {
  agent_image,  // which has nothing of bottle
  ready_image,  // which has the ready parts
};

// Describes how fill_agent() makes and fills one container. The callbacks run on its two threads: `put_rest` on one,
// and `create` and `progress` on the other.
struct Filling {
  std::string container;                     // its name
  const ReadyParts& parts;                   // what it must begin with
  std::function<Result<MadeFrom>()> create;  // makes the container
  PutRest put_rest;                          // writes what follows bottle's own files
  Progress progress;                         // receives how much was copied
  std::stop_token stop = {};
};

// Says what fill_agent() has done.
struct Filled {
  workspace::Summary sent;
  std::string files;  // the archive that the inside helper still has to unpack; empty if the engine has
};

// Makes the agent's container and fills it. Starts writing the archive immediately, so that a clone does not wait for
// the engine. If the container was made from a ready image and the archive has at most wire::kMostFiles bytes, it is
// not unpacked but returned. Blocks. Fails with Code::canceled after a stop.
Result<Filled> fill_agent(docker::Engine& engine, const wire::Job& job, const Filling& filling);

}  // namespace bottle::session
