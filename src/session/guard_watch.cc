// The first section keeps the promise that nothing passes unrecorded, as the header describes it. The others are about
// what else the guard says, what it is told, and its death.
#include "session/guard_watch.h"

#include <utility>
#include <variant>

#include "base/os/deadline.h"
#include "session/box/host_routes.h"
#include "session/collect/agent_end.h"
#include "session/guard_link/guard_link.h"
#include "session/ledger/files.h"
#include "session/ledger/names.h"

namespace bottle::session {
namespace {

using namespace std::chrono_literals;
using wire::Side;

// Returns whether the decision is about a request of the self-test. It is in the record, but the operator does not see
// it.
bool is_of_self_test(const wire::Decision& decision) { return decision.host == "not-allowed.bottle.invalid"; }

Services services_of(const wire::Job& job) {
  return {.rules = lan_rules(job.plan), .have_routes = job.side() == Side::local, .ssh = ssh_services(job.plan.ssh)};
}

}  // namespace

GuardWatch::GuardWatch(docker::Engine& engine, const wire::Job& job, Running& running, Clients& clients,
                       Callbacks callbacks)
    : engine_(engine),
      job_(job),
      running_(running),
      clients_(clients),
      callbacks_(std::move(callbacks)),
      name_(Names(job.plan.session).guard),
      audit_(job.directories.results_of(job.plan.session) + "/" + kAudit),
      policy_(
          running.guard_config, services_of(job), [this](const auto& config) { return configure(config); },
          [this](const auto& event) { clients_.event(event); }) {}

// -- nothing passes unrecorded

// A decision may have come together with the first Ready, which the launch waited for.
void GuardWatch::begin() { take_all(running_.guard.take_early()); }

// Returns whether the disk is full and the lines that wait for it in memory are enough. Further decisions then wait
// in the guard.
bool GuardWatch::is_overfull() const { return audit_.kept() > AuditFile::kMostKept; }

void GuardWatch::add_to(Poller& poller) const {
  if (is_up() && !is_overfull()) poller.watch(running_.guard.fd());
}

void GuardWatch::handle(const Poller& poller) {
  if (poller.readable(running_.guard.fd())) take_messages();
}

void GuardWatch::record(const wire::Decision& decision) {
  audit_.add(decision);
  counters_.add(decision);
  // An operator on this machine reads the record itself.
  if (job_.side() == Side::far) latest_.add(decision);
  if (decision.is_allow()) ++allowed_;
  if (!is_of_self_test(decision)) summary_.add(decision, clients_);
}

void GuardWatch::retry_record() { audit_.retry(); }

void GuardWatch::update() {
  // This is repeated in each turn, because the guard may have refused it.
  policy_.set_unrecorded(audit_.full());
  update_networks();
}

void GuardWatch::end_restart() {
  keeper_.end();
  if (keeper_.is_starting()) take_new_guard();
}

void GuardWatch::end(wire::SessionResult& result) {
  drain();
  audit_.retry();
  if (audit_.kept())
    clients_.event(wire::Warning{"the last decisions of the guard could not be recorded: " + audit_.full()});
  result.audit = {audit_.close()};
  result.egress = wire::EgressResult{summary_.denied(), summary_.secrets(), allowed_, {}, usage_.shown()};
  if (job_.plan.record) result.egress->recorded = summary_.recorded(job_.plan.egress.allow);
}

// Ends the guard, so that it writes the counts of its last refusals, and reads what it has recorded. The guard may be
// broken, so this has a limit.
void GuardWatch::drain() {
  if (!is_up()) return;
  send(wire::Shutdown{});
  for (auto deadline = Deadline::in(5s); is_up() && !is_overfull(); audit_.retry()) {
    if (!wait_readable(running_.guard.fd(), deadline)) break;
    take_messages();
  }
  if (is_up()) clients_.event(wire::Warning{"the guard did not end, so its last decisions may not be recorded"});
}

// -- the guard's messages

// Takes the messages from one read of the channel. Blocks if there are none.
void GuardWatch::take_messages() {
  auto messages = running_.guard.read();
  if (!messages) return lose();
  take_all(*messages);
}

void GuardWatch::take_all(const std::vector<wire::FromGuard>& messages) {
  for (const auto& message : messages) std::visit([this](const auto& each) { take(each); }, message);
}

void GuardWatch::take(const wire::Decision& decision) { record(decision); }

// The guard answers each configuration with Ready or with a complaint, in the order in which they were sent. The
// clients are told about a complaint that answers no operator's change.
void GuardWatch::take(const wire::Ready&) { policy_.accepted(); }

void GuardWatch::take(const wire::GuardComplaint& complaint) {
  if (!policy_.refused(complaint.what)) clients_.event(wire::GuardError{complaint.what});
}

void GuardWatch::take(const wire::Usage& usage) { usage_.take(usage); }

// Tells the clients that a limit is reached. Costs are counted in millionths of the currency.
void GuardWatch::take(const wire::LimitHit& hit) {
  bool money = hit.limit == wire::Quantity::cost;
  clients_.event(wire::LimitReached{job_.plan.session, hit.of, wire::kQuantities[static_cast<size_t>(hit.limit)],
                                    static_cast<double>(hit.most) / (money ? 1e6 : 1)});
}

void GuardWatch::take(const wire::AgentRequest& request) { callbacks_.on_agent_request(request); }

void GuardWatch::take(const wire::StreamPart& part) { callbacks_.on_stream(part); }

void GuardWatch::take(const wire::SshTunnel& tunnel) { callbacks_.on_ssh_tunnel(tunnel); }

// -- what the guard is told

void GuardWatch::send(const wire::ToGuard& message) {
  // After a failure, the guard ends, and then the next read fails.
  if (is_up()) (void)running_.guard.send(message);
}

Result<> GuardWatch::configure(const wire::GuardConfig& config) {
  if (!is_up()) return fail(Code::unavailable, "the guard is restarting; try again in a moment");
  return running_.guard.send(wire::Configure{config});
}

// Reads the networks again, because this machine may move to another network during a session.
void GuardWatch::update_networks() {
  if (Clock::now() < networks_at_) return;
  networks_at_ = Clock::now() + 5s;
  // After an error, the guard keeps refusing the networks that were there before.
  if (auto networks = host_networks()) policy_.set_host_networks(texts_of(*networks));
}

// -- a guard that dies

// The guard and all its connections are gone. Drops whatever was in progress, and tells the clients why the guard
// died.
void GuardWatch::lose() {
  keeper_.lose(callbacks_.clock());
  callbacks_.on_lost();
  policy_.guard_is_gone();
  // The guard may end together with the agent, and that is not reported.
  if (callbacks_.is_ending()) return;
  clients_.event(
      wire::GuardLost{"the guard " + cause_of_death(engine_, name_) + "; the agent has no network until it is back"});
}

// Restarts the guard with the same policy and certifies it with the same root. Without it, the agent has no network.
// Runs in a separate thread, so that the agent's terminal keeps working.
void GuardWatch::revive() {
  if (keeper_.is_starting()) return take_new_guard();
  if (callbacks_.is_ending() || !keeper_.is_due(callbacks_.clock())) return;
  // The thread gets copies, because this thread may change the configuration while the guard starts.
  auto config = started_with_ = running_.guard_config;
  config.used = usage_.all();
  keeper_.begin([&engine = engine_, name = name_, config = std::move(config), root = running_.root] {
    return start_guard(engine, name, config, *root);
  });
}

// Takes the outcome of a restart once there is one. A guard that could not be started is tried again later.
void GuardWatch::take_new_guard() {
  auto link = keeper_.take(callbacks_.clock());
  if (!link) return;
  if (*link) {
    // The old link is closed by this.
    running_.guard = std::move(**link);
    policy_.guard_is_back(started_with_);
    clients_.event(wire::GuardBack{});
    take_all(running_.guard.take_early());
  } else if (keeper_.attempts() == 4 && !callbacks_.is_ending()) {
    // While an engine restarts, a few failures are normal, so the operator is told once and not at each attempt.
    clients_.event(wire::GuardLost{"restarting the guard failed: " + link->error().what + "; trying again"});
  }
}

// -- for the operator

wire::Metrics GuardWatch::metrics() const {
  wire::Metrics metrics{.guard_up = is_up(),
                        .record_full = !audit_.full().empty(),
                        .guard_restarts = keeper_.restarts(),
                        .record_lines = audit_.lines()};
  counters_.fill(metrics);
  metrics.used = usage_.shown();
  return metrics;
}

}  // namespace bottle::session
