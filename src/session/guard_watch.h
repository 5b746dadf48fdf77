// Watches over the guard while the agent works: records its decisions, tells it about changes, and restarts it if it
// dies.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/os/poller.h"
#include "session/audit/audit_file.h"
#include "session/audit/egress_counters.h"
#include "session/audit/egress_summary.h"
#include "session/audit/latest_decisions.h"
#include "session/console/clients.h"
#include "session/guard_link/guard_keeper.h"
#include "session/launch.h"
#include "session/policy/policy_change.h"
#include "session/policy/usage_book.h"
#include "wire/guard/control.h"
#include "wire/metrics.h"
#include "wire/request.h"
#include "wire/result.h"

namespace bottle::session {

// Owns what a supervisor knows of the guard of a running session: whether it is up, its policy, the record of its
// decisions, and what was used. Use it on one thread.
//
// Nothing passes unrecorded:
// - Every decision goes to the record, also those of a guard that is still starting. What was let through is kept in
//   memory if the disk does not take it (audit_file.h).
// - While the record cannot be written, the guard is told to let nothing through.
// - If too much is kept nevertheless, nothing more is read from the guard. Its decisions then wait in the guard, which
//   takes no new work while many wait.
// - The record is closed last: the agent has ended, then the guard, and what it decided at the end was read.
class GuardWatch {
 public:
  // What is outside of this class. All are called on its thread.
  struct Callbacks {
    std::function<void(const wire::AgentRequest& request)> on_agent_request;
    std::function<void(const wire::StreamPart& part)> on_stream;
    std::function<void(const wire::SshTunnel& tunnel)> on_ssh_tunnel;
    std::function<void()> on_lost;    // the guard died, and with it whatever was in progress
    std::function<bool()> is_ending;  // whether the agent ends: the guard may end with it, and is not restarted
    std::function<GuardKeeper::Time()> clock = GuardKeeper::Clock::now;  // decides when the guard is restarted
  };
  // Opens the record. The guard must be up. A restart replaces `running.guard`, and changes of the policy are made in
  // `running.guard_config`. All references must outlive this object.
  GuardWatch(docker::Engine& engine, const wire::Job& job, Running& running, Clients& clients, Callbacks callbacks);

  // Takes what the guard sent during the launch. Call it once, before the first turn of the loop.
  void begin();

  // Each turn of the loop calls these, in this order. add_to() adds the guard's channel to what the poller should
  // watch, and handle() takes the messages that it found. retry_record() writes what waits for the disk, and update()
  // tells the guard whether its decisions can be recorded and which networks the machine has. revive() is for turns in
  // which the guard is not up: it starts the next guard when that is due, and takes it when it is up. Sending blocks
  // for a few seconds if the guard does not read; everything else blocks only for the engine, after a death.
  void add_to(Poller& poller) const;
  void handle(const Poller& poller);
  void retry_record();
  void update();
  void revive();

  bool is_up() const { return keeper_.is_up(); }
  // Sends a message, or drops it if the guard is not up.
  void send(const wire::ToGuard& message);
  // Adds a decision to the record, the counts and the terminals. The ssh-agent filter makes decisions, too.
  void record(const wire::Decision& decision);
  // change_policy() makes a change that an operator wants, and trust() adds the root of a new near side (LivePolicy).
  void change_policy(const wire::PolicyChange& change) { policy_.request(change); }
  void trust(const std::string& root) { policy_.trust(root); }
  // Returns whether the policy denies ssh to the host with this name in the manifest.
  bool denies_ssh(const std::string& host) const { return policy_.denies_ssh(host); }

  // Return what `bottle egress` shows. The latest decisions are kept only for an operator on another machine.
  wire::Metrics metrics() const;
  wire::LatestDecisions latest(std::optional<uint64_t> from) const { return latest_.since(from); }

  // The end has two steps. Call end_restart() when the agent's stream has ended: it waits for a restart that is under
  // way, because that guard may already have let something through. Call end() when the agent itself has ended: it ends
  // the guard, waits up to 5 seconds for its last decisions, closes the record, and says in `result` what is in it.
  void end_restart();
  void end(wire::SessionResult& result);

 private:
  using Clock = GuardKeeper::Clock;

  bool is_overfull() const;
  void drain();

  void take_messages();
  void take_all(const std::vector<wire::FromGuard>& messages);
  void take(const wire::Ready&);
  void take(const wire::GuardComplaint& complaint);
  void take(const wire::Decision& decision);
  void take(const wire::Usage& usage);
  void take(const wire::LimitHit& hit);
  void take(const wire::AgentRequest& request);
  void take(const wire::StreamPart& part);
  void take(const wire::SshTunnel& tunnel);

  Result<> configure(const wire::GuardConfig& config);
  void update_networks();

  void lose();
  void take_new_guard();

  docker::Engine& engine_;
  const wire::Job& job_;
  Running& running_;
  Clients& clients_;
  const Callbacks callbacks_;
  const std::string name_;  // of the guard's container

  AuditFile audit_;
  EgressSummary summary_;
  EgressCounters counters_;
  LatestDecisions latest_;
  uint64_t allowed_ = 0;  // number of decisions

  LivePolicy policy_;
  UsageBook usage_;
  Clock::time_point networks_at_;  // when to read them again

  GuardKeeper keeper_{callbacks_.clock()};
  wire::GuardConfig started_with_;  // the last guard that was restarted
};

}  // namespace bottle::session
