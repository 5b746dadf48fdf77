// From a plan to an agent that waits at its gate, with everything that is independent done at once.
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
#include "session/guard_link/guard_link.h"
#include "session/ledger/ledger.h"
#include "transfer/delivery.h"
#include "wire/gate.h"
#include "wire/job.h"
#include "workspace/workspace.h"

namespace bottle::session {

struct Running {
  docker::Attached agent;
  std::string agent_early;  // what the agent's stream brought behind the report
  GuardLink guard;
  nlohmann::json guard_message;             // `configure`, kept for a restart of the guard
  std::shared_ptr<const pki::Root> root;    // what the agent trusts; signs for each guard that comes
  wire::Report report;                      // the self-test's
  std::unique_ptr<SessionAgent> ssh_agent;  // null: no key needs one
  Subnet subnet;
  workspace::Summary sent;
};

// Whoever waits for the agent. When it goes away before the agent runs, so does the session.
struct Audience {
  std::function<void(const std::string& step)> show;
  std::function<bool()> is_gone;
};

// What comes to a launch while it is under way.
struct Arrivals {
  DeliveryPoint* delivery;                    // where a far job's workspace comes in; null for a job of this machine
  std::shared_future<Result<Values>> values;  // no secret is anywhere, and the gate does not open, before they are here
};

// Everything that a launch of `job` will make, in that order.
std::vector<Thing> things_of(const Job& job);

// Blocking; on error everything named in the ledger is to be torn down by the caller.
Result<Running> launch(docker::Engine& engine, const Job& job, const Owner& owner, Ledger& ledger,
                       const Arrivals& arrivals, const Audience& audience);

// Attaches to the session's guard, starts it, configures it and certifies its authority. Used at launch and when it
// died.
Result<GuardLink> start_guard(docker::Engine& engine, const std::string& name, const nlohmann::json& configuration,
                              const pki::Root& root);

}  // namespace bottle::session
