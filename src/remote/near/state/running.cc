// Keeps a near side connected to the far side while the agent runs or may run.
#include <algorithm>

#include "remote/near/state/stepper.h"

namespace bottle::remote {
namespace {

// These limits are low, because a person waits while it is unknown whether the agent runs.
constexpr int kMostLosses = 3;
constexpr int kMostAttempts = 5;    // to reconnect
constexpr int kAttemptsToStop = 6;  // to reconnect to a session that should stop
// With the longest wait between attempts, this is one notice about every five minutes.
constexpr int kAttemptsPerNotice = 20;

}  // namespace

// -- time and stopping

void Stepper::on(const input::Tick&) {
  if (in<phase::Running>() && !state_.deadlines.is_stopping() && state_.deadlines.vm_is_nearly_over(now_.boot)) {
    perform(Tell{Notice::vm_time_nearly_up});
    state_.deadlines.ask_to_stop(now_.awake);
  }
  continue_stop();
}

void Stepper::on(const input::StopRequested&) {
  state_.deadlines.ask_to_stop(now_.awake);
  continue_stop();
}

void Stepper::on(const input::LauncherGone&) {
  // Until the agent runs, the session belongs to the launcher that started it. Later, it goes on without one.
  if (keeps_values() || may_run()) abandon({Why::launcher_gone});
}

void Stepper::continue_stop() {
  if (!state_.deadlines.is_stopping()) return;
  // Nothing is known to run yet, so there is nothing that a grace period could save.
  if (keeps_values() || may_run()) return abandon({Why::stopped});
  if (!runs()) return;
  if (state_.deadlines.grace_is_over(now_.awake) && !state_.services_ended) {
    state_.services_ended = true;
    perform(Do::end_services);
  }
  auto* running = in<phase::Running>();
  if (!running) return;  // the stop is sent when the connection is back
  // The agent may still run. Its work is fetched as it is now.
  if (state_.deadlines.patience_is_over(now_.awake)) {
    perform(Tell{Notice::does_not_stop});
    return fetch_work();
  }
  // The stop is sent once over each connection, because the far side may not have got what was sent over an earlier
  // one.
  if (!running->stop_sent) perform(Do::send_stop);
  running->stop_sent = true;
}

// -- the connection

// In the states after these, the connection is no longer needed, or a new one is made for each step.
void Stepper::on(const input::LinkLost& lost) {
  if (keeps_values()) return abandon({Why::lost_before_values, lost.error});
  if (in<phase::Starting>()) return ask_again(1, lost.error);
  if (auto* asking = in<phase::Asking>()) return ask_again(asking->losses + 1, lost.error);
  if (auto* running = in<phase::Running>()) {
    perform(Tell{Notice::link_lost, lost.error}, Do::connect);
    become(phase::Reconnecting{running->missed_checkpoints});
  }
}

// Asks the far side what happened. It may have opened the gate, and its message may be lost with the connection.
void Stepper::ask_again(int losses, const Error& lost) {
  if (losses > kMostLosses)
    return leave_unknown({Why::not_known, {Code::closed, "the connection keeps breaking"}, lost}, Remains::nothing);
  perform(Do::connect);
  become(phase::Asking{losses, lost});
}

void Stepper::on(const input::LinkFailed& failed) {
  if (auto* asking = in<phase::Asking>()) {
    if (failed.attempts < kMostAttempts) return perform(Do::connect);
    return leave_unknown({Why::not_known, failed.error, asking->lost}, Remains::nothing);
  }
  if (!in<phase::Reconnecting>()) return;
  // The VM expired, or it was destroyed by hand. There is no machine left to reach.
  if (failed.vm_gone) return end_without_vm(Failure{Why::vm_gone});
  if (state_.deadlines.is_stopping() && failed.attempts > kAttemptsToStop)
    return leave_running({Why::unreachable, failed.error});
  if (failed.attempts == 1 || failed.attempts % kAttemptsPerNotice == 0)
    perform(Tell{Notice::link_trying, failed.error});
  // Even a changed host key or a refused sign-in is not a reason to give up. On a hotel's network, a laptop sees both
  // until the guest has signed in.
  perform(Do::connect);
}

void Stepper::on(const input::LinkBack&) {
  if (in<phase::Asking>()) {
    perform(Tell{Notice::connected_again}, Do::attach);
  } else if (auto* reconnecting = in<phase::Reconnecting>()) {
    perform(Do::attach, Tell{Notice::link_back});
    become(phase::Running{false, reconnecting->missed_checkpoints});
    // A stop that came while the connection was down is sent now.
    continue_stop();
  }
}

// -- what the far side says

void Stepper::on(const input::FarSpoke&) {
  if (may_run() || runs()) perform(Do::pass_to_clients);
}

void Stepper::on(const input::FarNotice&) {
  if (keeps_values() || may_run() || runs()) perform(Do::pass_to_clients);
}

void Stepper::on(const input::FarGuardAsked&) {
  if (may_run() || runs()) perform(Do::answer_guard);
}

void Stepper::on(const input::FarRuns&) { begin_running(Do::pass_to_clients); }

// The frame is the answer to an attach, which the clients did not ask for.
void Stepper::on(const input::FarAttached&) { begin_running(Tell{Notice::agent_runs}); }

void Stepper::on(const input::FarRunsWithoutWork&) {
  if (may_run()) abandon({Why::no_workspace});
}

// Takes the machine's word that the agent runs. `told` is what the clients learn if this is news.
void Stepper::begin_running(Action told) {
  // Without the values the agent cannot run, so the machine does not do what it should.
  if (keeps_values()) return abandon({Why::false_start});
  // An earlier near side may have died before it heard that.
  if (in<phase::Running>() && !std::exchange(state_.has_run, true)) perform(Note::running);
  if (!may_run()) return;
  perform(Show::running, Note::running, Do::begin_checkpoints, std::move(told));
  state_.has_run = true;
  become(phase::Running{});
}

void Stepper::on(const input::FarEnded&) {
  if (keeps_values()) return abandon({Why::false_start});
  if (may_run() || runs()) fetch_work();
}

void Stepper::on(const input::FarFailed& failed) {
  if (keeps_values()) return abandon({Why::far_failed, failed.error});
  // The supervisor says that the agent did not run.
  if (in<phase::Starting>()) return end_unused({Why::far_failed, failed.error});
  if (auto* asking = in<phase::Asking>()) {
    // Only this code says that. A machine that cannot find out what happened answers with another one.
    if (failed.error.code == Code::not_found) return end_unused({Why::never_ran, failed.error, asking->lost});
    return leave_unknown({Why::not_known, failed.error, asking->lost}, Remains::nothing);
  }
  if (!in<phase::Running>()) return;
  Failure failure{Why::far_failed, failed.error};
  if (failed.error.code != Code::not_found) return leave_running(std::move(failure));
  // An earlier near side died when the agent was about to run, and the machine then removed the session by itself.
  if (!state_.has_run) return forget(std::move(failure));
  // A machine forgets a session only when its work is home. This one looks for its sessions in another place than
  // before, for example because a disk is not mounted.
  leave_unknown({Why::unknown_to_far_side, failed.error}, Remains::nothing);
}

// -- transfers

// In Asking, the connection broke too, and the far side will report what happened to the session.
void Stepper::on(const input::DeliveryFailed& failed) {
  if (keeps_values() || in<phase::Starting>()) abandon({Why::delivery_failed, failed.error});
}

int* Stepper::missed_checkpoints() {
  if (auto* running = in<phase::Running>()) return &running->missed_checkpoints;
  auto* reconnecting = in<phase::Reconnecting>();
  return reconnecting ? &reconnecting->missed_checkpoints : nullptr;
}

void Stepper::on(const input::Checkpointed& done) {
  int* missed = missed_checkpoints();
  if (!missed) return;
  *missed = 0;
  if (done.changed) perform(Tell{Notice::checkpoint});
}

// Ignores a single failure, which may be due to a broken connection.
void Stepper::on(const input::CheckpointFailed& failed) {
  int* missed = missed_checkpoints();
  if (!missed) return;
  *missed = std::min(*missed + 1, 3);
  if (*missed == 2) perform(Tell{Notice::no_checkpoints, failed.error});
}

void Stepper::on(const input::ClientFrame&) {
  if (runs()) perform(Do::pass_to_far);
}

}  // namespace bottle::remote
