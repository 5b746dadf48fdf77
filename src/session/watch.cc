// One thread and one loop serve everything while the agent works: the agent's stream, the guard's control channel,
// the clients, the ssh-agents and a few checks by the clock. Steps that could block for long run on other threads,
// and the loop collects their results: restarting the guard, counting what is on the disk, and asking an ssh-agent.
//
// Two rules hold in each turn. First, no client and no agent can stop the loop: output that is not read is kept
// (outbox.h), and input is dropped if the agent reads hardly any for five seconds (agent_input.h). Second, everything
// that the guard lets through is recorded: while its decisions cannot be written, the loop tells the guard to let
// nothing through, and finally stops reading from it.
#include "session/watch.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <map>
#include <optional>

#include "base/files/file.h"
#include "base/os/poller.h"
#include "base/units.h"
#include "docker/answers.h"
#include "session/agent/agent_input.h"
#include "session/audit/audit_file.h"
#include "session/audit/egress_counters.h"
#include "session/audit/egress_summary.h"
#include "session/audit/latest_decisions.h"
#include "session/box/host_routes.h"
#include "session/collect/agent_end.h"
#include "session/console/stop_signal.h"
#include "session/credentials/ssh_agent_link.h"
#include "session/disk/disk_trigger.h"
#include "session/guard_link/guard_keeper.h"
#include "session/ledger/files.h"
#include "session/ledger/names.h"
#include "session/policy/policy_change.h"
#include "session/policy/usage_book.h"

namespace bottle::session {
namespace {

using wire::Frame, wire::FrameType, wire::Job, wire::Side, wire::kInputGoes, wire::kInputWaits;
using Clock = std::chrono::steady_clock;

constexpr int kMostSizeAttempts = 5;

class Watch {
 public:
  Watch(docker::Engine& engine, const Job& job, Running& running, Clients& clients);
  Result<> run(const std::vector<Frame>& early, wire::SessionResult& result);

 private:
  // -- the agent
  void show(std::string_view bytes);
  void take_output();
  void check_disk();
  void resize();
  void tell_dropped_input(AgentInput::When when);
  void stop(int seconds = 3);
  bool is_ending() const { return ended_ || stopped_; }
  Result<> tell_end(wire::SessionResult& result);

  // -- the guard
  void take_audit();
  void take_all(const std::vector<wire::FromGuard>& messages);
  void take(const wire::Ready&);
  void take(const wire::GuardComplaint& complaint);
  void take(const wire::Decision& decision);
  void take(const wire::Usage& usage);
  void take(const wire::LimitHit& hit);
  void take(const wire::AgentRequest& request);
  void take(const wire::StreamPart& part);
  void record(const wire::Decision& decision);
  void drain_audit();
  void end_record(wire::SessionResult& result);
  bool overfull() const;
  void update_networks();
  SshAgentLink::Send to_guard();
  void lose_guard();
  void revive_guard();
  void take_new_guard();

  // -- the near side
  void update_near_side();
  void take_from_near_side(const Result<wire::ToFarGuard>& message);

  // -- the clients
  void take_frame(const Frame& frame);
  wire::Metrics metrics() const;

  docker::Engine& engine_;
  const Job& job_;
  Running& running_;
  Clients& clients_;
  Names names_;

  // -- the agent
  docker::Demux demux_;
  AgentInput input_;
  bool ended_ = false;      // its stream has ended
  bool stopped_ = false;    // the engine was asked to stop it, and obeyed
  std::string over_limit_;  // why it had to be stopped, if it exceeded a limit
  wire::Resize size_;       // of the operator's terminal
  int size_attempts_ = 0;   // how often the engine may still be asked for it
  Clock::time_point size_at_;

  // -- the guard
  GuardKeeper guard_{Clock::now()};
  wire::GuardConfig started_with_;  // the last guard that was restarted
  AuditFile audit_;
  EgressSummary summary_;
  EgressCounters counters_;
  UsageBook usage_;
  uint64_t allowed_ = 0;
  Clock::time_point networks_at_;
  LivePolicy policy_{
      running_.guard_config,
      {.rules = lan_rules(job_.plan), .have_routes = job_.side() == Side::local, .ssh = ssh_hosts(job_.plan)},
      [this](const wire::GuardConfig& config) -> Result<> {
        if (!guard_.is_up()) return fail(Code::unavailable, "the guard is restarting; try again in a moment");
        return running_.guard.send(wire::Configure{config});
      },
      [this](const wire::Event& event) { clients_.event(event); }};

  // -- the near side
  uint32_t near_side_ = 0;  // the near side that the guard was told about
  LatestDecisions latest_;  // of a session whose operator is on another machine

  std::optional<SshAgentLink> ssh_;  // the last member, so that its threads end first
};

Watch::Watch(docker::Engine& engine, const Job& job, Running& running, Clients& clients)
    : engine_(engine),
      job_(job),
      running_(running),
      clients_(clients),
      names_(job.plan.session),
      audit_(job.directories.results_of(job.plan.session) + "/" + kAudit) {
  // The keys of a far session are on the near side, which gets the agent's requests as frames.
  if (!job.ssh_keys.empty() && job.side() == Side::local)
    ssh_.emplace(job.plan, job.ssh_keys, SessionAgent::socket_in(job.directories.session(job.plan.session)),
                 std::move(running.ssh_agent), [this](const wire::Decision& decision) { record(decision); });
}

Result<> Watch::run(const std::vector<Frame>& early, wire::SessionResult& result) {
  show(running_.agent_early);
  take_all(running_.guard.take_early());
  // Input and resizes from the time of the launch come first, in their order.
  for (const auto& frame : early) take_frame(frame);
  while (!ended_) {
    Poller poller;
    poller.watch(running_.agent.fd(), !input_.empty());
    if (guard_.is_up() && !overfull()) poller.watch(running_.guard.fd());
    if (ssh_) poller.watch(ssh_->fd());
    clients_.add_to(poller, !input_.is_full());
    // Without a guard, nothing becomes readable when a restart is due or has ended, so the loop turns more often.
    poller.wait(guard_.is_up() ? static_cast<int>(DiskWatch::kPause.count()) : 200);
    if (stop_was_signaled()) stop();
    if (poller.readable(running_.agent.fd())) take_output();
    input_.flush(running_.agent.fd(), Clock::now());
    if (poller.readable(running_.guard.fd())) take_audit();
    if (ssh_ && poller.readable(ssh_->fd())) ssh_->take_answers(to_guard());
    clients_.handle(poller, [&](const Frame& frame) { take_frame(frame); });
    tell_dropped_input(AgentInput::When::running);
    // A near side is told instead of made to wait, because its other frames must still arrive.
    if (job_.side() == Side::far && input_.must_tell(Clock::now()))
      clients_.send(FrameType::input, input_.is_full() ? kInputWaits : kInputGoes);
    audit_.retry();
    resize();
    // This is repeated in each turn, because the guard may have refused it.
    policy_.set_unrecorded(audit_.full());
    update_networks();
    check_disk();
    if (!guard_.is_up()) revive_guard();
    else if (job_.side() == Side::far) update_near_side();
  }
  guard_.end();                                // what it starts uses members of this object
  if (guard_.is_starting()) take_new_guard();  // it may have let something through
  running_.disk->end();
  tell_dropped_input(AgentInput::When::at_end);
  // Until here, the agent may have used the network, so the record stays open.
  auto ended = tell_end(result);
  end_record(result);
  return ended;
}

// -- the agent

void Watch::show(std::string_view bytes) {
  if (bytes.empty()) return;
  clients_.send(FrameType::output, bytes);
}

// Passes on the agent's output. A headless agent's two streams come multiplexed over one connection.
void Watch::take_output() {
  std::string bytes = running_.agent.take_early();
  if (bytes.empty()) {
    char buffer[65536];
    ssize_t n = ::read(running_.agent.fd(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) return;
    // The engine closes the stream when the container has ended, and sometimes before (agent_end.h).
    if (n <= 0) {
      ended_ = true;
      return;
    }
    bytes.assign(buffer, static_cast<size_t>(n));
  }
  if (!job_.plan.headless) return show(bytes);
  auto fed = demux_.feed(bytes, [&](int stream, std::string_view chunk) {
    if (stream == 1) return show(chunk);
    clients_.send(FrameType::diagnostic, chunk);
  });
  // After a frame that cannot be read, no later one can be found.
  if (!fed) ended_ = true;
}

void Watch::check_disk() {
  if (is_ending()) return;
  std::string why = running_.disk->check();
  if (why.empty()) return;
  if (over_limit_.empty()) clients_.event(wire::Warning{why});
  over_limit_ = std::move(why);
  stop(0);  // kills the agent immediately, because one that is asked to end could continue to write
}

// Gives the agent's terminal the size of the operator's. If the engine is busy, a later turn tries again, because the
// operator's terminal does not repeat its size. An engine that hangs must not delay everything else each time.
void Watch::resize() {
  if (size_attempts_ == 0 || Clock::now() < size_at_) return;
  bool done = engine_.resize(names_.agent, size_.rows, size_.columns).has_value();
  size_attempts_ = done ? 0 : size_attempts_ - 1;
  size_at_ = Clock::now() + std::chrono::milliseconds(500);
}

// If the engine does not stop the agent, the next request to stop tries again.
void Watch::stop(int seconds) {
  if (!stopped_) stopped_ = engine_.stop_container(names_.agent, seconds).has_value();
}

void Watch::tell_dropped_input(AgentInput::When when) {
  if (std::string text = input_.news(when); !text.empty()) clients_.event(wire::Warning{text});
}

// Waits for the end of the agent's container, and says in `result` how it ended.
Result<> Watch::tell_end(wire::SessionResult& result) {
  auto end = end_agent(engine_, names_.agent);
  // If the engine does not say how the agent ended, the status is 143 (SIGTERM) after a stop, and 125 (a failure of
  // bottle itself) otherwise.
  result.exit = std::clamp(end ? end->status : stopped_ ? 143 : 125, 0, 255);
  if (end && end->was_stopped && !stopped_) {
    result.exit = 125;
    result.what = "the engine closed the agent's stream while the agent was running, so the agent was stopped";
  }
  if (!over_limit_.empty()) {
    result.exit = 125;
    result.what = over_limit_;
    result.limit = "resources.disk";
  } else if (ran_out_of_memory(engine_, names_.agent)) {
    // The engine does not report which process ran out of memory.
    result.what = "the agent's container reached " + binary_size(job_.plan.resources.memory) +
                  " (`resources.memory`), or the machine had no memory left, and the kernel killed a process in it";
    result.limit = "resources.memory";
  }
  // An agent whose container is gone does not run either.
  if (end || end.error().code == Code::not_found) return {};
  return std::unexpected(std::move(end.error()));
}

// -- the guard

// Handles the messages from one read of the control channel.
void Watch::take_audit() {
  auto messages = running_.guard.read();
  if (!messages) return lose_guard();
  take_all(*messages);
}

void Watch::take_all(const std::vector<wire::FromGuard>& messages) {
  for (const auto& message : messages) std::visit([this](const auto& each) { take(each); }, message);
}

// The guard answers each configuration with Ready or with a complaint, in the order in which they were sent. The
// clients are told about a complaint that answers no operator's change.
void Watch::take(const wire::Ready&) { policy_.accepted(); }

void Watch::take(const wire::GuardComplaint& complaint) {
  if (!policy_.refused(complaint.what)) clients_.event(wire::GuardError{complaint.what});
}

void Watch::take(const wire::Decision& decision) { record(decision); }

void Watch::take(const wire::Usage& usage) { usage_.take(usage); }

// Tells the clients that a limit is reached. Costs are counted in millionths of the currency.
void Watch::take(const wire::LimitHit& hit) {
  bool money = hit.limit == wire::Quantity::cost;
  clients_.event(wire::LimitReached{job_.plan.session, hit.of, wire::kQuantities[static_cast<size_t>(hit.limit)],
                                    static_cast<double>(hit.most) / (money ? 1e6 : 1)});
}

// Answers a request of the bottle's ssh-agent, or passes it to the near side, which has the keys of a far session.
// Without a near side, an answer without a text closes the connection. A message without a request reports that the
// bottle closed it, and needs no answer.
void Watch::take(const wire::AgentRequest& request) {
  if (ssh_) return ssh_->take_request(request, to_guard());
  if (job_.side() != Side::far) return;
  if (clients_.near_side()) clients_.to_near_side(request);
  else if (request.request) (void)running_.guard.send(wire::AgentAnswer{request.connection, std::nullopt});
}

void Watch::take(const wire::StreamPart& part) {
  if (job_.side() == Side::far && clients_.near_side()) clients_.to_near_side(part);
}

// Adds a decision of the guard or of the ssh-agent filter to the audit, the counts and the terminals.
void Watch::record(const wire::Decision& decision) {
  audit_.add(decision);
  counters_.add(decision);
  // An operator on this machine reads the record itself.
  if (job_.side() == Side::far) latest_.add(decision);
  if (decision.is_allow()) ++allowed_;
  // The self-test's own requests are in the audit, but they are not shown to the operator.
  if (decision.host.ends_with(".probe.invalid") || decision.host == "not-allowed.bottle.invalid") return;
  summary_.add(decision, clients_);
}

// Ends the guard, so that it writes the counts of its last refusals, and reads what it has recorded. The guard may be
// broken, so this has a limit.
void Watch::drain_audit() {
  using namespace std::chrono_literals;
  if (!guard_.is_up()) return;
  (void)running_.guard.send(wire::Shutdown{});
  for (auto deadline = Deadline::in(5s); guard_.is_up() && !overfull(); audit_.retry()) {
    if (!wait_readable(running_.guard.fd(), deadline)) break;
    take_audit();
  }
  if (guard_.is_up()) clients_.event(wire::Warning{"the guard did not end, so its last decisions may not be recorded"});
}

// Closes the record, and says in `result` what is in it. The agent must have ended.
void Watch::end_record(wire::SessionResult& result) {
  drain_audit();
  audit_.retry();
  if (audit_.kept())
    clients_.event(wire::Warning{"the last decisions of the guard could not be recorded: " + audit_.full()});
  result.audit = {audit_.close()};
  result.egress = wire::EgressResult{summary_.denied(), summary_.secrets(), allowed_, {}, usage_.shown()};
  if (job_.plan.record) result.egress->recorded = summary_.recorded(job_.plan.egress.allow);
}

// Returns whether the disk is full and the lines that wait for it in memory are enough. Further decisions then wait
// in the guard.
bool Watch::overfull() const { return audit_.kept() > AuditFile::kMostKept; }

// Reads the networks again, because this machine may move to another network during a session.
void Watch::update_networks() {
  using namespace std::chrono_literals;
  if (Clock::now() < networks_at_) return;
  networks_at_ = Clock::now() + 5s;
  // After an error, the guard keeps refusing the networks that were there before.
  if (auto networks = host_networks()) policy_.set_host_networks(texts_of(*networks));
}

SshAgentLink::Send Watch::to_guard() {
  return [this](const wire::AgentAnswer& answer) {
    if (guard_.is_up()) (void)running_.guard.send(answer);
  };
}

// The guard and all its connections are gone. Drops whatever was in progress, and tells the clients why the guard
// died.
void Watch::lose_guard() {
  guard_.lose(Clock::now());
  if (ssh_) ssh_->guard_is_gone();
  policy_.guard_is_gone();
  // The next guard has to be told that the near side is connected.
  near_side_ = 0;
  // The guard may end together with the agent, and that is not reported.
  if (is_ending()) return;
  clients_.event(wire::GuardLost{"the guard " + cause_of_death(engine_, names_.guard) +
                                 "; the agent has no network until it is back"});
}

// Restarts the guard with the same policy and certifies it with the same root. Without it, the agent has no
// network. Runs in a separate thread, so that the agent's terminal keeps working.
void Watch::revive_guard() {
  if (guard_.is_starting()) return take_new_guard();
  if (is_ending() || !guard_.is_due(Clock::now())) return;
  // The thread gets a copy, because this thread may change the configuration while the guard starts.
  auto config = started_with_ = running_.guard_config;
  config.used = usage_.all();
  guard_.begin(
      [this, config = std::move(config)] { return start_guard(engine_, names_.guard, config, *running_.root); });
}

// Takes the outcome of a restart once there is one. A guard that could not be started is tried again later.
void Watch::take_new_guard() {
  auto link = guard_.take(Clock::now());
  if (!link) return;
  if (*link) {
    // The old link is closed by this.
    running_.guard = std::move(**link);
    policy_.guard_is_back(started_with_);
    clients_.event(wire::GuardBack{});
    take_all(running_.guard.take_early());
  } else if (guard_.attempts() == 4 && !stopped_) {
    // While an engine restarts, a few failures are normal, so the operator is told once and not at each attempt.
    clients_.event(wire::GuardLost{"restarting the guard failed: " + link->error().what + "; trying again"});
  }
}

// -- the near side

// Tells the guard when a near side comes or goes. Secrets, LAN services and ssh keys on the near side are available
// only while it is connected. Each near side starts without earlier streams.
void Watch::update_near_side() {
  uint32_t now = clients_.near_side();
  if (now == near_side_) return;
  if (near_side_) (void)running_.guard.send(wire::NearSideUp{false});
  if (now) {
    clients_.to_near_side(wire::FarGuardHere{});
    (void)running_.guard.send(wire::NearSideUp{true});
  }
  near_side_ = now;
}

void Watch::take_from_near_side(const Result<wire::ToFarGuard>& message) {
  if (!message) return;
  if (const auto* here = std::get_if<wire::NearSideHere>(&*message)) return policy_.trust(here->root);
  // A guard that was not told about a near side expects nothing from one.
  if (!guard_.is_up() || !near_side_) return;
  if (const auto* answer = std::get_if<wire::AgentAnswer>(&*message)) (void)running_.guard.send(*answer);
  if (const auto* part = std::get_if<wire::StreamPart>(&*message)) (void)running_.guard.send(*part);
}

// -- the clients

// Handles a frame of a client. Ignores frames that have no meaning for a running session.
void Watch::take_frame(const Frame& frame) {
  switch (frame.type) {
    case FrameType::input:
      input_.add(running_.agent.fd(), frame.bytes, Clock::now());
      break;
    case FrameType::resize: {
      auto size = wire::decode<wire::Resize>(frame.bytes, wire::From::ours);
      if (!size || job_.plan.headless) break;
      size_ = *size;
      size_attempts_ = kMostSizeAttempts;
      size_at_ = {};
      resize();
      break;
    }
    case FrameType::stop:
      stop();
      break;
    case FrameType::policy:
      if (auto change = wire::decode<wire::PolicyChange>(frame.bytes, wire::From::ours)) policy_.request(*change);
      break;
    case FrameType::metrics:
      clients_.answer(FrameType::metrics, wire::encode(metrics()));
      break;
    case FrameType::decisions:
      if (auto wanted = wire::decode<wire::WantedDecisions>(frame.bytes, wire::From::ours))
        clients_.answer(FrameType::decisions, wire::encode(latest_.since(wanted->from)));
      break;
    case FrameType::guard:
      if (job_.side() == Side::far) take_from_near_side(wire::decode<wire::ToFarGuard>(frame.bytes, wire::From::ours));
      break;
    default:
      break;
  }
}

// Returns the counters for `bottle egress metrics`.
wire::Metrics Watch::metrics() const {
  wire::Metrics metrics{.guard_up = guard_.is_up(),
                        .record_full = !audit_.full().empty(),
                        .guard_restarts = guard_.restarts(),
                        .record_lines = audit_.lines()};
  counters_.fill(metrics);
  metrics.used = usage_.shown();
  return metrics;
}

}  // namespace

Result<> watch(docker::Engine& engine, const Job& job, Running& running, Clients& clients,
               const std::vector<Frame>& early, wire::SessionResult& result) {
  return Watch(engine, job, running, clients).run(early, result);
}

}  // namespace bottle::session
