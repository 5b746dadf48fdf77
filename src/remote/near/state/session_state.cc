// Implements the near side's table of states as functions: on(input) says what an input does in each state in which
// it has a meaning. One rule stands behind all of them. As soon as the values are sent, only the far side can tell
// whether the agent runs. So a note goes to the ledger first, and from then on nothing is removed until the work is
// home or the machine has said that there is none.
//
// If the machine's state is unknown and no answer comes, this side ends the session and keeps its record, from which
// a later command learns what to ask. While a person waits, attempts end soon; while only the agent runs, they never
// end.
#include "remote/near/state/session_state.h"

#include <algorithm>

namespace bottle::remote {
namespace {

// These limits are low, because a person waits while it is unknown whether the agent runs.
constexpr int kMostLosses = 3;
constexpr int kMostAttempts = 5;    // to reconnect
constexpr int kAttemptsToStop = 6;  // to reconnect to a session that should stop
// With the longest wait between attempts, this is one notice about every five minutes.
constexpr int kAttemptsPerNotice = 20;
constexpr double kFetchPatience = 300;   // in seconds
constexpr double kHeldPatience = 20;     // in seconds; enough for an engine to restart; other reasons need a person
constexpr double kStoppedPatience = 20;  // in seconds; the person who stopped a start is waiting

using Machine = SessionKind::Machine;
using Judge = SessionKind::Judge;

template <class... P>
bool is_in(const State& state) {
  return (std::holds_alternative<P>(state.phase) || ...);
}

class Stepper {
 public:
  Stepper(const SessionKind& kind, State state, Now now) : kind_(kind), state_(std::move(state)), now_(now) {}
  Step take(const Input& input) {
    std::visit([this](const auto& each) { on(each); }, input);
    return {std::move(state_), std::move(actions_)};
  }

 private:
  // -- what is true in the present state

  template <class P>
  P* in() {
    return std::get_if<P>(&state_.phase);
  }
  bool keeps_values() const { return remote::keeps_values(state_); }
  bool may_run() const { return remote::may_run(state_); }
  bool runs() const { return agent_runs(state_); }
  bool has_vm() const { return kind_.machine != Machine::standing; }

  template <class... A>
  void perform(A&&... actions) {
    (actions_.push_back(Action(std::forward<A>(actions))), ...);
  }
  void become(Phase phase) { state_.phase = std::move(phase); }

  // -- opening

  void on(const input::Opened& opened) {
    if (!in<phase::Opening>()) return;
    if (opened.vm) state_.deadlines.vm_ends_at(opened.vm->ends, opened.vm->ttl);
    // The stop came while the record was being made.
    if (!kind_.adopted && state_.deadlines.is_stopping()) return abandon({Why::stopped});
    if (kind_.adopted) {
      // An agent that is to be stopped gets no more secrets.
      if (!state_.deadlines.is_stopping()) perform(Do::open_services);
      perform(Do::connect);
      become(phase::Reconnecting{});
    } else if (has_vm()) {
      perform(Do::make_vm);
      become(phase::MakingVm{});
    } else {
      perform(Do::send_job);
      become(phase::SendingJob{});
    }
  }

  void on(const input::OpenFailed& failed) {
    if (!in<phase::Opening>()) return;
    Failure failure{Why::cannot_open, failed.error};
    // The record of an adopted session must stay, and a record that is not ours must not be touched.
    if (kind_.adopted || !failed.recorded) leave_running(std::move(failure));
    else abandon(std::move(failure));
  }

  void on(const input::VmMade& made) {
    if (!in<phase::MakingVm>()) return;
    state_.deadlines.vm_ends_at(made.vm.ends, made.vm.ttl);
    // The channel's hello has come already. Otherwise it comes with the answers to the job.
    if (kind_.judge == Judge::earlier) perform(Do::tell_engine);
    perform(Do::send_job);
    become(phase::SendingJob{});
  }

  void on(const input::VmFailed& failed) {
    if (in<phase::MakingVm>()) abandon({Why::vm_failed, failed.error});
  }

  void on(const input::JobSent&) {
    if (!in<phase::SendingJob>()) return;
    if (kind_.judge == Judge::earlier) release_values();
    else become(phase::AwaitingHello{});
    // A VM that was not judged yet is still starting its engine.
    if (kind_.judge != Judge::near_side) perform(Do::send_work);
  }

  void on(const input::JobFailed& failed) {
    if (in<phase::SendingJob>()) abandon({Why::job_failed, failed.error});
  }

  void on(const input::Hello& hello) {
    if (!in<phase::AwaitingHello>()) return;
    if (kind_.judge == Judge::launcher) {
      perform(Do::pass_hello);
      become(phase::AwaitingLauncher{});
    } else if (hello.refused) {
      abandon({Why::not_admitted, *hello.refused});
    } else {
      perform(Do::tell_engine);
      release_values();
      perform(Do::send_work);
    }
  }

  void on(const input::Admitted&) {
    // In any other state, a client cannot release the values.
    if (in<phase::AwaitingLauncher>()) release_values();
  }

  // The ledger comes first. Once the machine has the values, the agent can run before the near side learns of it.
  // Without the note, a later command would then take the session for one whose agent never ran.
  void release_values() {
    perform(Note::may_run);
    become(phase::Recording{});
  }

  void on(const input::MayRunNoted&) {
    if (!in<phase::Recording>()) return;
    perform(Do::send_values);
    become(phase::Starting{});
  }

  void on(const input::NoteFailed& failed) {
    if (in<phase::Recording>()) abandon({Why::not_recorded, failed.error});
    // Without that record, the work may not be removed from the machine. A later command fetches it again.
    if (auto* fetching = in<phase::Fetching>(); fetching && fetching->is_here) {
      perform(Tell{Notice::not_fetched_yet, failed.error});
      leave_unfetched();
    }
  }

  // -- time and stopping

  void on(const input::Tick&) {
    if (in<phase::Running>() && !state_.deadlines.is_stopping() && state_.deadlines.vm_is_nearly_over(now_.boot)) {
      perform(Tell{Notice::vm_time_nearly_up});
      state_.deadlines.ask_to_stop(now_.awake);
    }
    heed_stop();
  }

  void on(const input::StopRequested&) {
    state_.deadlines.ask_to_stop(now_.awake);
    heed_stop();
  }

  void on(const input::LauncherGone&) {
    // Until the agent runs, the session belongs to the launcher that started it. Later, it goes on without one.
    if (keeps_values() || may_run()) abandon({Why::launcher_gone});
  }

  void heed_stop() {
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
  void on(const input::LinkLost& lost) {
    if (keeps_values()) return abandon({Why::lost_before_values, lost.error});
    if (in<phase::Starting>()) return ask_again(1, lost.error);
    if (auto* asking = in<phase::Asking>()) return ask_again(asking->losses + 1, lost.error);
    if (auto* running = in<phase::Running>()) {
      perform(Tell{Notice::link_lost, lost.error}, Do::connect);
      become(phase::Reconnecting{running->missed_checkpoints});
    }
  }

  // Asks the far side what happened. It may have opened the gate, and its message may be lost with the connection.
  void ask_again(int losses, const Error& lost) {
    if (losses > kMostLosses)
      return leave_unknown({Why::not_known, {Code::closed, "the connection keeps breaking"}, lost}, Remains::nothing);
    perform(Do::connect);
    become(phase::Asking{losses, false, lost});
  }

  void on(const input::LinkFailed& failed) {
    if (auto* asking = in<phase::Asking>()) {
      if (failed.attempts < kMostAttempts) return perform(Do::connect);
      return leave_unknown({Why::not_known, failed.error, asking->lost}, Remains::nothing);
    }
    if (!in<phase::Reconnecting>()) return;
    // The VM's time was up, or it was destroyed by hand. There is no machine left to reach.
    if (failed.vm_gone) return end_without_vm(Failure{Why::vm_gone});
    if (state_.deadlines.is_stopping() && failed.attempts > kAttemptsToStop)
      return leave_running({Why::unreachable, failed.error});
    if (failed.attempts == 1 || failed.attempts % kAttemptsPerNotice == 0)
      perform(Tell{Notice::link_trying, failed.error});
    // Even a changed host key or a refused sign-in is no reason to give up. On a hotel's network, a laptop sees both
    // until the guest has signed in.
    perform(Do::connect);
  }

  void on(const input::LinkBack&) {
    if (auto* asking = in<phase::Asking>()) {
      asking->connected = true;
      perform(Tell{Notice::connected_again}, Do::attach);
    } else if (auto* reconnecting = in<phase::Reconnecting>()) {
      perform(Do::attach, Tell{Notice::link_back});
      become(phase::Running{false, reconnecting->missed_checkpoints});
      // A stop that came while the connection was down is sent now.
      heed_stop();
    }
  }

  // -- what the far side says

  void on(const input::FarSpoke&) {
    if (may_run() || runs()) perform(Do::pass_to_clients);
  }
  void on(const input::FarNotice&) {
    if (keeps_values() || may_run() || runs()) perform(Do::pass_to_clients);
  }
  void on(const input::FarGuardAsked&) {
    if (may_run() || runs()) perform(Do::answer_guard);
  }

  void on(const input::FarRuns& told) {
    // Without the values the agent cannot run, so the machine does not do what it should.
    if (keeps_values()) return abandon({Why::false_start});
    if (in<phase::Running>() && !told.attached) return perform(Do::pass_to_clients);
    // The message changes nothing if it comes twice or after the end.
    if (!may_run()) return;
    if (!told.delivered) return abandon({Why::no_workspace});
    perform(Show::running, Note::running, Do::begin_checkpoints);
    // The frame is the answer to an attach, which the clients did not ask for.
    if (told.attached) perform(Tell{Notice::agent_runs});
    else perform(Do::pass_to_clients);
    become(phase::Running{});
  }

  void on(const input::FarEnded&) {
    if (keeps_values()) return abandon({Why::false_start});
    if (may_run() || runs()) fetch_work();
  }

  void on(const input::FarFailed& failed) {
    if (keeps_values()) return abandon({Why::far_failed, failed.error});
    // In these two states, a failure means that the agent did not run: its supervisor says so, or there is no such
    // session.
    if (in<phase::Starting>()) return end_unused({Why::far_failed, failed.error});
    if (auto* asking = in<phase::Asking>()) return end_unused({Why::never_ran, failed.error, asking->lost});
    if (!in<phase::Running>()) return;
    Failure failure{Why::far_failed, failed.error};
    // The machine has no such session, so there is nothing to fetch from it.
    if (failed.error.code == Code::not_found) return forget(std::move(failure));
    leave_running(std::move(failure));
  }

  // -- transfers

  void on(const input::Delivered&) {}
  // In Asking, the connection broke too, and the far side will report what happened to the session.
  void on(const input::DeliveryFailed& failed) {
    if (keeps_values() || in<phase::Starting>()) abandon({Why::delivery_failed, failed.error});
  }

  int* missed_checkpoints() {
    if (auto* running = in<phase::Running>()) return &running->missed_checkpoints;
    auto* reconnecting = in<phase::Reconnecting>();
    return reconnecting ? &reconnecting->missed_checkpoints : nullptr;
  }
  void on(const input::Checkpointed& done) {
    int* missed = missed_checkpoints();
    if (!missed) return;
    *missed = 0;
    if (done.changed) perform(Tell{Notice::checkpoint});
  }
  // Ignores a single failure, which may be due to a broken connection.
  void on(const input::CheckpointFailed& failed) {
    int* missed = missed_checkpoints();
    if (!missed) return;
    *missed = std::min(*missed + 1, 3);
    if (*missed == 2) perform(Tell{Notice::no_checkpoints, failed.error});
  }

  void on(const input::ClientFrame&) {
    if (runs()) perform(Do::pass_to_far);
  }

  // -- the end of a session that ran

  void fetch_work() {
    perform(Do::end_delivery, Note::ended, Tell{Notice::collecting}, FetchWork{});
    become(phase::Fetching{now_.awake, 0, std::nullopt});
  }

  void on(const input::Fetched&) {
    auto* fetching = in<phase::Fetching>();
    if (!fetching) return;
    fetching->is_here = true;
    perform(Note::home);
  }

  // Only work that the ledger calls home may be removed from the machine.
  void on(const input::HomeNoted&) {
    auto* fetching = in<phase::Fetching>();
    if (!fetching || !fetching->is_here) return;
    perform(Do::forget_there);
    become(phase::Forgetting{std::move(fetching->failure)});
  }

  double fetch_patience(bool held, bool failed) const {
    if (failed) return kStoppedPatience;
    if (!held) return kFetchPatience;
    // If the operator asks again, they have already been told why the work is held.
    return kind_.adopted && !has_vm() ? 0 : kHeldPatience;
  }

  void on(const input::FetchFailed& failed) {
    auto* fetching = in<phase::Fetching>();
    if (!fetching) return;
    if (failed.vm_gone) return end_without_vm(std::move(fetching->failure));
    if (now_.awake - fetching->since > fetch_patience(failed.held, fetching->failure.has_value()))
      return leave_unfetched();
    if (fetching->attempt == 0) perform(Tell{Notice::not_fetched_yet, failed.error});
    // A machine that answers and holds the work needs no new connection, only time for its engine.
    int wait_ms = failed.held ? 1000 : std::min(500 << fetching->attempt, 15000);
    perform(FetchWork{wait_ms, !failed.held});
    fetching->attempt = std::min(fetching->attempt + 1, 5);
  }

  void leave_unfetched() {
    if (auto& failure = in<phase::Fetching>()->failure) return leave_unknown(std::move(*failure), Remains::agent);
    // Without this, the VM would count as abandoned once this process is gone, and would be destroyed with the work.
    if (has_vm()) perform(Do::hold_vm);
    perform(Do::save_result, Show::unfetched, Do::tell_result);
    become(phase::Over{});
  }

  // -- the end of a session that failed

  void abandon(Failure failure) {
    if (!may_run()) return forget(std::move(failure));
    // The session's own connection is closed first. The stop then uses a new connection, in case the old one is the
    // problem.
    perform(Do::close_link, Do::end_delivery, Do::stop_there);
    become(phase::StoppingThere{std::move(failure)});
  }

  // What the agent did in the meantime is fetched like any other work.
  void on(const input::StopAnswered& answered) {
    auto* stopping = in<phase::StoppingThere>();
    if (!stopping) return;
    if (!answered.reached) return leave_unknown(std::move(stopping->failure), Remains::agent);
    perform(FetchWork{});
    become(phase::Fetching{now_.awake, 0, std::move(stopping->failure)});
  }

  // Ends a session whose machine says that the agent did not run.
  void end_unused(Failure failure) {
    perform(Note::never_ran);
    forget(std::move(failure));
  }

  void forget(Failure failure) {
    // The far side removes everything once its launcher is gone.
    perform(Do::close_link, Do::end_delivery, Do::forget_there);
    become(phase::Forgetting{std::move(failure)});
  }

  // Ends while the agent runs, or may run. The record stays, so that the next command ends the session and fetches
  // its work.
  void leave_running(Failure failure) {
    perform(Do::close_link, Do::end_delivery, TellFailure{std::move(failure)});
    become(phase::Over{});
  }
  void leave_unknown(Failure failure, Remains remains) {
    perform(Do::close_link, Do::end_delivery, Note::may_run, Show::unattended,
            TellFailure{std::move(failure), remains});
    become(phase::Over{});
  }

  // -- the end of everything

  void on(const input::Forgotten& forgotten) {
    auto* forgetting = in<phase::Forgetting>();
    if (!forgetting) return;
    auto& failure = forgetting->failure;
    // --keep applies only to a VM that was used.
    if (kind_.machine == Machine::vm || (kind_.machine == Machine::kept_vm && failure)) {
      // A VM's record is written before the VM is created, and removed only once its provider confirms that the VM is
      // gone.
      if (failure && !forgotten.reached && forgotten.vm_gone) return end(std::move(failure), Remains::nothing);
      perform(Tell{Notice::destroying}, Do::destroy_vm);
      return become(phase::DestroyingVm{std::move(failure)});
    }
    // A far side that lost its launcher before the agent ran removes by itself what it has made.
    bool clean = forgotten.confirmed || (failure && !forgotten.reached);
    end(std::move(failure), clean ? Remains::nothing : Remains::something);
  }

  void on(const input::VmDestroyed& destroyed) {
    auto* destroying = in<phase::DestroyingVm>();
    if (destroying) end(std::move(destroying->failure), destroyed.confirmed ? Remains::nothing : Remains::vm);
  }

  // Ends a session whose VM was destroyed in the meantime, because its time was up or by hand.
  void end_without_vm(std::optional<Failure> failure) {
    perform(Do::close_link, Do::end_delivery, Do::account_for_vm);
    become(phase::AccountingForVm{std::move(failure)});
  }

  void on(const input::Accounted& accounted) {
    auto* accounting = in<phase::AccountingForVm>();
    if (!accounting) return;
    if (accounted.home) accounting->failure.reset();  // then nothing has failed
    tell_end(Do::remove_record, std::move(accounting->failure), Remains::nothing);
  }

  // Only the record says that the work is lost. It stays, and a later command tries again.
  void on(const input::NotAccounted& failed) {
    auto* accounting = in<phase::AccountingForVm>();
    if (!accounting) return;
    perform(Tell{Notice::not_accounted, failed.error});
    tell_end(Show::left_behind, std::move(accounting->failure), Remains::nothing);
  }

  void end(std::optional<Failure> failure, Remains remains) {
    if (!failure) perform(Do::save_result);
    Action record = remains == Remains::nothing ? Action(Do::remove_record) : Action(Show::left_behind);
    tell_end(record, std::move(failure), remains);
  }

  void tell_end(Action record, std::optional<Failure> failure, Remains remains) {
    perform(std::move(record));
    if (failure) perform(TellFailure{std::move(*failure), remains});
    else perform(Do::tell_result);
    become(phase::Over{});
  }

  const SessionKind& kind_;
  State state_;
  Now now_;
  std::vector<Action> actions_;
};

}  // namespace

Step step(const SessionKind& kind, State state, const Input& input, Now now) {
  return Stepper(kind, std::move(state), now).take(input);
}

bool is_over(const State& state) { return is_in<phase::Over>(state); }

bool keeps_values(const State& state) {
  return is_in<phase::MakingVm, phase::SendingJob, phase::AwaitingHello, phase::AwaitingLauncher, phase::Recording>(
      state);
}

bool may_run(const State& state) { return is_in<phase::Starting, phase::Asking>(state); }

bool agent_runs(const State& state) { return is_in<phase::Running, phase::Reconnecting>(state); }

bool needs_launcher(const SessionKind& kind, const State& state) {
  return !kind.adopted && (keeps_values(state) || may_run(state));
}

}  // namespace bottle::remote
