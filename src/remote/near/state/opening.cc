// Takes a near side from its beginning to the moment from which the agent may run.
#include "remote/near/state/stepper.h"

namespace bottle::remote {

using Judge = SessionKind::Judge;

void Stepper::on(const input::Opened& opened) {
  if (!in<phase::Opening>()) return;
  state_.has_run = opened.ran;
  if (opened.vm) state_.deadlines.vm_ends_at(opened.vm->ends, opened.vm->ttl);
  // The stop came while the record was being made.
  if (!kind_.adopted && state_.deadlines.is_stopping()) return abandon({Why::stopped});
  if (opened.home) {
    perform(Do::forget_on_far_side);
    become(phase::Forgetting{});
  } else if (kind_.adopted) {
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

void Stepper::on(const input::OpenFailed& failed) {
  if (!in<phase::Opening>()) return;
  Failure failure{Why::cannot_open, failed.error};
  // The record of an adopted session must stay, and a record that is not ours must not be touched.
  if (kind_.adopted || !failed.recorded) leave_running(std::move(failure));
  else abandon(std::move(failure));
}

void Stepper::on(const input::VmMade& made) {
  if (!in<phase::MakingVm>()) return;
  state_.deadlines.vm_ends_at(made.vm.ends, made.vm.ttl);
  // The channel's hello has come already. Otherwise it comes with the answers to the job.
  if (kind_.judge == Judge::earlier) perform(Do::tell_engine);
  perform(Do::send_job);
  become(phase::SendingJob{});
}

void Stepper::on(const input::VmFailed& failed) {
  if (in<phase::MakingVm>()) abandon({Why::vm_failed, failed.error});
}

void Stepper::on(const input::JobSent&) {
  if (!in<phase::SendingJob>()) return;
  if (kind_.judge == Judge::earlier) release_values();
  else become(phase::AwaitingHello{});
  // A VM that was not judged yet is still starting its engine.
  if (kind_.judge != Judge::near_side) perform(Do::send_work);
}

void Stepper::on(const input::JobFailed& failed) {
  if (in<phase::SendingJob>()) abandon({Why::job_failed, failed.error});
}

void Stepper::on(const input::Hello& hello) {
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

void Stepper::on(const input::Admitted&) {
  // In any other state, a client cannot release the values.
  if (in<phase::AwaitingLauncher>()) release_values();
}

// The ledger comes first. Once the machine has the values, the agent can run before the near side learns of it.
// Without the note, a later command would then treat the session as one whose agent never ran.
void Stepper::release_values() {
  perform(Note::may_run);
  become(phase::Recording{});
}

void Stepper::on(const input::MayRunNoted&) {
  if (!in<phase::Recording>()) return;
  perform(Do::send_values);
  become(phase::Starting{});
}

void Stepper::on(const input::NoteFailed& failed) {
  if (in<phase::Recording>()) abandon({Why::not_recorded, failed.error});
  // Without that record, the work may not be removed from the machine. A later command fetches it again.
  if (auto* fetching = in<phase::Fetching>(); fetching && fetching->is_here) {
    perform(Tell{Notice::not_fetched_yet, failed.error});
    leave_unfetched();
  }
}

}  // namespace bottle::remote
