// Takes a near side from the end of its agent, or from a failure, to its own end.
#include <algorithm>

#include "remote/near/state/stepper.h"

namespace bottle::remote {
namespace {

constexpr double kFetchPatience = 300;   // in seconds
constexpr double kHeldPatience = 20;     // in seconds; enough for an engine to restart; other reasons need a person
constexpr int kLongestWait = 5;          // from this attempt on, the waits do not become longer
constexpr double kStoppedPatience = 20;  // in seconds; the person who stopped a start is waiting

}  // namespace

using Machine = SessionKind::Machine;
using Obstacle = input::FetchFailed::Obstacle;
using Left = input::Forgotten::Left;

// -- the end of a session that ran

void Stepper::fetch_work() {
  perform(Do::end_delivery, Note::ended, Tell{Notice::collecting}, FetchWork{});
  become(phase::Fetching{now_.awake, 0, std::nullopt});
}

void Stepper::on(const input::Fetched&) {
  auto* fetching = in<phase::Fetching>();
  if (!fetching) return;
  fetching->is_here = true;
  perform(Note::home);
}

// Only work that the ledger calls home may be removed from the machine.
void Stepper::on(const input::HomeNoted&) {
  auto* fetching = in<phase::Fetching>();
  if (!fetching || !fetching->is_here) return;
  perform(Do::forget_on_far_side);
  become(phase::Forgetting{std::move(fetching->failure)});
}

double Stepper::fetch_patience(bool held, bool failed) const {
  if (failed) return kStoppedPatience;
  if (!held) return kFetchPatience;
  // If the operator asks again, they have already been told why the work is held.
  return kind_.adopted && !has_vm() ? 0 : kHeldPatience;
}

void Stepper::on(const input::FetchFailed& failed) {
  auto* fetching = in<phase::Fetching>();
  if (!fetching) return;
  if (failed.obstacle == Obstacle::vm_gone) return end_without_vm(std::move(fetching->failure));
  const bool held = failed.obstacle == Obstacle::held;
  if (now_.awake - fetching->since > fetch_patience(held, fetching->failure.has_value())) return leave_unfetched();
  // Whoever waits for the end learns about every twenty seconds that it still comes.
  if (fetching->attempt == 0 || (fetching->attempt == kLongestWait && !held))
    perform(Tell{Notice::not_fetched_yet, failed.error});
  // A machine that answers and holds the work needs no new connection, only time for its engine.
  int wait_ms = held ? 1000 : std::min(500 << fetching->attempt, 15000);
  perform(FetchWork{wait_ms, !held});
  fetching->attempt = std::min(fetching->attempt + 1, kLongestWait);
}

void Stepper::leave_unfetched() {
  if (auto& failure = in<phase::Fetching>()->failure) return leave_unknown(std::move(*failure), Remains::agent);
  // Without this, the VM would count as abandoned once this process is gone, and would be destroyed with the work.
  if (has_vm()) perform(Do::hold_vm);
  perform(Do::save_result, Show::unfetched, Do::tell_result);
  become(phase::Over{});
}

// -- the end of a session that failed

void Stepper::abandon(Failure failure) {
  if (!may_run()) return forget(std::move(failure));
  // The session's own connection is closed first. The stop then uses a new connection, in case the old one is the
  // problem.
  perform(Do::close_link, Do::end_delivery, Do::stop_far_session);
  become(phase::StoppingFarSide{std::move(failure)});
}

// What the agent did in the meantime is fetched like any other work.
void Stepper::on(const input::StopAnswered& answered) {
  auto* stopping = in<phase::StoppingFarSide>();
  if (!stopping) return;
  if (!answered.stopped) return leave_unknown(std::move(stopping->failure), Remains::agent);
  perform(FetchWork{});
  become(phase::Fetching{now_.awake, 0, std::move(stopping->failure)});
}

// Ends a session whose machine says that the agent did not run.
void Stepper::end_unused(Failure failure) {
  perform(Note::never_ran);
  forget(std::move(failure));
}

void Stepper::forget(Failure failure) {
  // The far side removes everything once its launcher is gone.
  perform(Do::close_link, Do::end_delivery, Do::forget_on_far_side);
  become(phase::Forgetting{std::move(failure)});
}

// Ends while the agent runs, or may run. The record stays, so that the next command ends the session and fetches
// its work.
void Stepper::leave_running(Failure failure) {
  perform(Do::close_link, Do::end_delivery, TellFailure{std::move(failure)});
  become(phase::Over{});
}

void Stepper::leave_unknown(Failure failure, Remains remains) {
  perform(Do::close_link, Do::end_delivery, Note::may_run, Show::unattended, TellFailure{std::move(failure), remains});
  become(phase::Over{});
}

// -- the end of everything

void Stepper::on(const input::Forgotten& forgotten) {
  auto* forgetting = in<phase::Forgetting>();
  if (!forgetting) return;
  auto& failure = forgetting->failure;
  // A later near side fetches it. Until then, a VM is as little to be removed as the record.
  if (forgotten.left == Left::work && failure) return leave_unknown(std::move(*failure), Remains::agent);
  // --keep applies only to a VM that was used.
  if (kind_.machine == Machine::vm || (kind_.machine == Machine::kept_vm && failure)) {
    // A VM's record is written before the VM is created, and removed only once its provider confirms that the VM is
    // gone.
    if (forgotten.left == Left::no_vm) return end(std::move(failure), Remains::nothing);
    perform(Tell{Notice::destroying}, Do::destroy_vm);
    return become(phase::DestroyingVm{std::move(failure)});
  }
  // A far side that lost its launcher before the agent ran removes by itself what it has made.
  bool clean = forgotten.left == Left::nothing || (failure && forgotten.left != Left::something);
  end(std::move(failure), clean ? Remains::nothing : Remains::something);
}

void Stepper::on(const input::VmDestroyed& destroyed) {
  auto* destroying = in<phase::DestroyingVm>();
  if (destroying) end(std::move(destroying->failure), destroyed.confirmed ? Remains::nothing : Remains::vm);
}

// Ends a session whose VM was destroyed in the meantime, because it expired or by hand.
void Stepper::end_without_vm(std::optional<Failure> failure) {
  perform(Do::close_link, Do::end_delivery, Do::account_for_vm);
  become(phase::AccountingForVm{std::move(failure)});
}

void Stepper::on(const input::Accounted& accounted) {
  auto* accounting = in<phase::AccountingForVm>();
  if (!accounting) return;
  if (accounted.home) accounting->failure.reset();  // then nothing has failed
  tell_end(Do::remove_record, std::move(accounting->failure), Remains::nothing);
}

// Only the record says that the work is lost. It stays, and a later command tries again.
void Stepper::on(const input::NotAccounted& failed) {
  auto* accounting = in<phase::AccountingForVm>();
  if (!accounting) return;
  perform(Tell{Notice::not_accounted, failed.error});
  tell_end(Show::left_behind, std::move(accounting->failure), Remains::nothing);
}

void Stepper::end(std::optional<Failure> failure, Remains remains) {
  if (!failure) perform(Do::save_result);
  Action record = remains == Remains::nothing ? Action(Do::remove_record) : Action(Show::left_behind);
  tell_end(record, std::move(failure), remains);
}

void Stepper::tell_end(Action record, std::optional<Failure> failure, Remains remains) {
  perform(std::move(record));
  if (failure) perform(TellFailure{std::move(*failure), remains});
  else perform(Do::tell_result);
  become(phase::Over{});
}

}  // namespace bottle::remote
