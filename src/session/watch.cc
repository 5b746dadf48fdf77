// One thread and one loop serve everything while the agent works: the agent's stream, the guard, the clients, the
// ssh-agents and a few checks by the clock. Steps that could block for long run on other threads, and the loop collects
// their results: restarting the guard, counting what is on the disk, and asking an ssh-agent.
//
// Two rules hold in each turn. First, no client and no agent can stop the loop: output that is not read is kept
// (outbox.h), and input is dropped if the agent reads hardly any for five seconds (agent_input.h). Second, nothing
// passes unrecorded, which is the work of guard_watch.h.
#include "session/watch.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include "base/os/poller.h"
#include "base/units.h"
#include "session/agent/agent_input.h"
#include "session/collect/agent_end.h"
#include "session/console/stop_signal.h"
#include "session/credentials/ssh_agent_link.h"
#include "session/disk/disk_watch.h"
#include "session/guard_watch.h"
#include "session/ledger/files.h"
#include "session/ledger/names.h"

namespace bottle::session {
namespace {

using wire::Frame, wire::FrameType, wire::Job, wire::Side, wire::kInputGoes, wire::kInputWaits;
using Clock = std::chrono::steady_clock;

constexpr int kMostSizeAttempts = 5;

class Watch {
 public:
  Watch(docker::Engine& engine, const Job& job, Running& running, Clients& clients,
        std::chrono::milliseconds input_patience);
  Result<> run(const std::vector<Frame>& early, wire::SessionResult& result);

 private:
  void turn();

  // -- the agent
  void show(std::string_view bytes);
  void take_output();
  void check_disk();
  void resize();
  void tell_dropped_input(AgentInput::When when);
  void stop(int seconds = 3);
  bool is_ending() const { return ended_ || stopped_; }
  Result<> tell_end(wire::SessionResult& result);

  // -- the ssh-agents and the near side, which answer what the guard asks
  GuardWatch::Callbacks callbacks();
  void take_agent_request(const wire::AgentRequest& request);
  void take_ssh_tunnel(const wire::SshTunnel& tunnel);
  SshAgentLink::Send to_guard();
  void update_near_side();
  void take_from_near_side(const Result<wire::ToFarGuard>& message);

  // -- the clients
  void take_frame(const Frame& frame);

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

  GuardWatch guard_;
  uint32_t near_side_ = 0;           // the near side that the guard was told about
  std::optional<SshAgentLink> ssh_;  // if the keys are on this machine; uses guard_
  wire::OpenTunnels tunnels_;        // of a far session, for the near sides that are yet to come
};

Watch::Watch(docker::Engine& engine, const Job& job, Running& running, Clients& clients,
             std::chrono::milliseconds input_patience)
    : engine_(engine),
      job_(job),
      running_(running),
      clients_(clients),
      names_(job.plan.session),
      input_(input_patience),
      guard_(engine, job, running, clients, callbacks()) {
  // The keys of a far session are on the near side, which gets the agent's requests as frames.
  if (!job.ssh_keys.empty() && job.side() == Side::local) {
    ssh_.emplace(
        job.plan, job.ssh_keys, SessionAgent::socket_in(job.directories.session(job.plan.session)),
        std::move(running.ssh_agent), [this](const wire::Decision& decision) { guard_.record(decision); },
        [this](const std::string& host) { return guard_.denies_ssh(host); });
    ssh_->require_tunnels();
  }
}

Result<> Watch::run(const std::vector<Frame>& early, wire::SessionResult& result) {
  show(running_.agent_early);
  guard_.begin();
  // Input and resizes from the time of the launch come first, in their order.
  for (const auto& frame : early) take_frame(frame);
  while (!ended_) turn();
  guard_.end_restart();
  running_.disk->end();
  tell_dropped_input(AgentInput::When::at_end);
  // Until here, the agent may have used the network, so the record stays open.
  auto ended = tell_end(result);
  guard_.end(result);
  return ended;
}

void Watch::turn() {
  Poller poller;
  poller.watch(running_.agent.fd(), !input_.empty());
  guard_.add_to(poller);
  if (ssh_) poller.watch(ssh_->fd());
  clients_.add_to(poller, !input_.is_full());
  // Without a guard, nothing becomes readable when a restart is due or has ended, so the loop turns more often.
  poller.wait(guard_.is_up() ? static_cast<int>(DiskWatch::kPause.count()) : 200);
  if (stop_was_signaled()) stop();
  if (poller.readable(running_.agent.fd())) take_output();
  input_.flush(running_.agent.fd(), Clock::now());
  guard_.handle(poller);
  if (ssh_ && poller.readable(ssh_->fd())) ssh_->take_answers(to_guard());
  clients_.handle(poller, [&](const Frame& frame) { take_frame(frame); });
  tell_dropped_input(AgentInput::When::running);
  // A near side is told instead of made to wait, because its other frames must still arrive.
  if (job_.side() == Side::far && input_.must_tell(Clock::now()))
    clients_.send(FrameType::input, input_.is_full() ? kInputWaits : kInputGoes);
  guard_.retry_record();
  resize();
  guard_.update();
  check_disk();
  if (!guard_.is_up()) guard_.revive();
  else if (job_.side() == Side::far) update_near_side();
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

// -- the ssh-agents and the near side

GuardWatch::Callbacks Watch::callbacks() {
  return {.on_agent_request = [this](const wire::AgentRequest& request) { take_agent_request(request); },
          .on_stream =
              [this](const wire::StreamPart& part) {
                if (job_.side() == Side::far && clients_.near_side()) clients_.to_near_side(part);
              },
          .on_ssh_tunnel = [this](const wire::SshTunnel& tunnel) { take_ssh_tunnel(tunnel); },
          .on_lost =
              [this] {
                if (ssh_) ssh_->guard_is_gone();
                tunnels_.clear();
                // The next guard has to be told that the near side is connected.
                near_side_ = 0;
              },
          .is_ending = [this] { return is_ending(); }};
}

// Answers a request of the bottle's ssh-agent, or passes it to the near side, which has the keys of a far session.
// Without a near side, an answer without a text closes the connection. A message without a request reports that the
// bottle closed it, and needs no answer.
void Watch::take_agent_request(const wire::AgentRequest& request) {
  if (ssh_) return ssh_->take_request(request, to_guard());
  if (job_.side() != Side::far) return;
  if (clients_.near_side()) clients_.to_near_side(request);
  else if (request.request) guard_.send(wire::AgentAnswer{request.connection, std::nullopt});
}

// Passes on, in their order with the ssh-agent's requests, what the guard reports about its tunnels.
void Watch::take_ssh_tunnel(const wire::SshTunnel& tunnel) {
  if (ssh_) return ssh_->take_tunnel(tunnel);
  if (job_.side() != Side::far) return;
  tunnels_.take(tunnel);
  if (clients_.near_side()) clients_.to_near_side(tunnel);
}

SshAgentLink::Send Watch::to_guard() {
  return [this](const wire::AgentAnswer& answer) { guard_.send(answer); };
}

// Tells the guard when a near side comes or goes. Secrets, LAN services and ssh keys on the near side are available
// only while it is connected. Each near side starts without earlier streams.
void Watch::update_near_side() {
  uint32_t now = clients_.near_side();
  if (now == near_side_) return;
  if (near_side_) guard_.send(wire::NearSideUp{false});
  if (now) {
    clients_.to_near_side(wire::FarGuardHere{});
    clients_.to_near_side(wire::SshTunnelsFollow{});
    tunnels_.report([this](const wire::SshTunnel& tunnel) { clients_.to_near_side(tunnel); });
    guard_.send(wire::NearSideUp{true});
  }
  near_side_ = now;
}

void Watch::take_from_near_side(const Result<wire::ToFarGuard>& message) {
  if (!message) return;
  if (const auto* here = std::get_if<wire::NearSideHere>(&*message)) return guard_.trust(here->root);
  // A guard that was not told about a near side expects nothing from one.
  if (!guard_.is_up() || !near_side_) return;
  if (const auto* answer = std::get_if<wire::AgentAnswer>(&*message)) guard_.send(*answer);
  if (const auto* part = std::get_if<wire::StreamPart>(&*message)) guard_.send(*part);
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
      if (auto change = wire::decode<wire::PolicyChange>(frame.bytes, wire::From::ours)) guard_.change_policy(*change);
      break;
    case FrameType::metrics:
      clients_.answer(FrameType::metrics, wire::encode(guard_.metrics()));
      break;
    case FrameType::decisions:
      if (auto wanted = wire::decode<wire::WantedDecisions>(frame.bytes, wire::From::ours))
        clients_.answer(FrameType::decisions, wire::encode(guard_.latest(wanted->from)));
      break;
    case FrameType::guard:
      if (job_.side() == Side::far) take_from_near_side(wire::decode<wire::ToFarGuard>(frame.bytes, wire::From::ours));
      break;
    default:
      break;
  }
}

}  // namespace

Result<> watch(docker::Engine& engine, const Job& job, Running& running, Clients& clients,
               const std::vector<Frame>& early, std::chrono::milliseconds input_patience, wire::SessionResult& result) {
  return Watch(engine, job, running, clients, input_patience).run(early, result);
}

}  // namespace bottle::session
