// Performs the launch, from a plan to an agent that waits at its gate. Independent steps run in parallel.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "docker/engine.h"
#include "pki/root.h"
#include "session/box/network.h"
#include "session/credentials/session_agent.h"
#include "session/disk/disk_watch.h"
#include "session/guard_link/guard_link.h"
#include "session/launch_control.h"
#include "session/ledger/ledger.h"
#include "transfer/delivery.h"
#include "wire/gate/gate.h"
#include "wire/start/job.h"
#include "workspace/workspace.h"

namespace bottle::session {

// Holds the parts of a launched session. launch() makes it when the gate has opened, and watch() uses it while the
// agent works. Destroying it ends the session's ssh-agent and closes the guard's channel, after which the guard
// exits.
struct Running {
  docker::Attached agent;   // the stream of the agent's container
  std::string agent_early;  // output of the agent that came with the report
  GuardLink guard;
  wire::GuardConfig guard_config;           // kept for a restart of the guard
  std::shared_ptr<const pki::Root> root;    // trusted by the agent; signs the authority of each guard
  wire::Report report;                      // the report of the self-test
  std::unique_ptr<SessionAgent> ssh_agent;  // null if no key needs it
  Subnet subnet;                            // the addresses of the guard and the agent
  workspace::Summary sent;                  // what was sent of the workspace; empty for a far job
  std::unique_ptr<DiskWatch> disk;          // remembers how full the engine's disk was before the agent ran
};

// Returns everything that a launch of `job` will make, in that order.
std::vector<Thing> things_of(const wire::Job& job);

// Launches the session. Blocks. Until the values of `control` arrive, no container has a secret and the gate stays
// shut. A far job's workspace arrives at `delivery`, which is null for a local job. The engine must stop on
// control.stop(), and the ledger must already name everything that things_of() returns. After an error, the caller must
// tear down everything that the ledger names.
Result<Running> launch(docker::Engine& engine, const wire::Job& job, const Owner& owner, Ledger& ledger,
                       transfer::DeliveryPoint* delivery, LaunchControl& control);

// Attaches to the session's guard, starts it, configures it and certifies its authority. Used at launch and after the
// guard has died. `stop` ends the wait for the guard. Once its container has started, the guard has `patience` to read
// its configuration, and as long again to serve; after that this fails with Code::timed_out.
Result<GuardLink> start_guard(docker::Engine& engine, const std::string& name, const wire::GuardConfig& config,
                              const pki::Root& root, const std::stop_token& stop = {},
                              std::chrono::milliseconds patience = std::chrono::seconds(30));

}  // namespace bottle::session
