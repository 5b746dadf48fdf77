// This file performs the launch, from a plan to an agent that waits at its gate. Independent steps run in parallel.
#pragma once

#include <functional>
#include <future>
#include <memory>
#include <string>

#include <nlohmann/json.hpp>

#include "docker/engine.h"
#include "pki/root.h"
#include "session/box/network.h"
#include "session/credentials/session_agent.h"
#include "session/disk/disk_watch.h"
#include "session/guard_link/guard_link.h"
#include "session/ledger/ledger.h"
#include "transfer/delivery.h"
#include "wire/gate.h"
#include "wire/start/job.h"
#include "workspace/workspace.h"

namespace bottle::session {

struct Running {
  docker::Attached agent;
  std::string agent_early;  // output of the agent that came with the report
  GuardLink guard;
  wire::GuardConfig guard_config;           // kept for a restart of the guard
  std::shared_ptr<const pki::Root> root;    // trusted by the agent; signs the authority of each guard
  wire::Report report;                      // the report of the self-test
  std::unique_ptr<SessionAgent> ssh_agent;  // null if no key needs it
  Subnet subnet;
  workspace::Summary sent;
  std::unique_ptr<DiskWatch> disk;  // has noted how full the engine's disk was before the agent ran
};

// Connects a launch with the client that waits for the agent. If the client goes away before the agent runs, the
// session ends.
struct Audience {
  std::function<void(const std::string& step)> show;
  std::function<bool()> is_gone;
};

// Provides what arrives while a launch is under way.
struct Arrivals {
  DeliveryPoint* delivery;                    // where a far job's workspace arrives; null for a local job
  std::shared_future<Result<Values>> values;  // until they arrive, no container has a secret and the gate stays shut
};

// Returns everything that a launch of `job` will make, in that order.
std::vector<Thing> things_of(const Job& job);

// Launches the session. Blocks. After an error, the caller must tear down everything that the ledger names.
Result<Running> launch(docker::Engine& engine, const Job& job, const Owner& owner, Ledger& ledger,
                       const Arrivals& arrivals, const Audience& audience);

// Attaches to the session's guard, starts it, configures it and certifies its authority. Used at launch and after the
// guard has died.
Result<GuardLink> start_guard(docker::Engine& engine, const std::string& name, const wire::GuardConfig& config,
                              const pki::Root& root);

}  // namespace bottle::session
