// All texts of the near side are in one place, so that the state machine needs no text and a reader can compare the
// messages. The text of a failure says what happened, whether something may still run or exist, and which command
// deals with it. A far side's text is repeated only where the message says that it comes from the machine.
#include "remote/near/words.h"

namespace bottle::remote {
namespace {

// Returns why the session failed, without saying what may be left of it.
Error why_failed(const Failure& failure, const SessionNames& names) {
  Error cause = failure.cause;
  const std::string& lost = failure.lost.what;
  switch (failure.why) {
    case Why::cannot_open:
    case Why::job_failed:
    case Why::not_admitted:
    case Why::far_failed:
      return cause;
    case Why::vm_failed:
      return std::move(cause).during("creating the VM");
    case Why::not_recorded:
      return std::move(cause).during("recording that the agent may run, which comes before any secret is sent");
    case Why::delivery_failed:
      if (cause.todo.empty()) cause.todo = "start again";
      return std::move(cause).during("sending the workspace before the agent ran");
    case Why::false_start:
      return {Code::protocol, "the remote machine says that the agent runs, but has not received its values",
              "check that machine; its bottle does not behave as this one expects"};
    case Why::no_workspace:
      return {Code::protocol, "the remote machine says that the agent runs, but has not received its workspace"};
    case Why::lost_before_values:
      return {Code::closed, cause.what + " before the agent ran, so nothing was run", "start again"};
    case Why::never_ran:
      return {Code::closed, lost + " before the agent ran, so nothing was run", "start again"};
    case Why::unknown_to_far_side:
      return {Code::unavailable,
              names.machine + " has no record of session " + names.session + ", although its agent ran on that machine",
              "if the state directory of that machine has moved, for example because a disk is not mounted or "
              "XDG_STATE_HOME has changed, restore it and run `bottle attach " +
                  names.session + "`; otherwise, the work is lost, and you can " +
                  (names.vm.empty() ? "remove " + names.record : "run `bottle vm destroy " + names.vm + "`")};
    case Why::not_known:
      return {Code::closed,
              lost + " before it was known whether the agent runs, and reconnecting failed: " + cause.what,
              "if the agent runs, `bottle attach " + names.session +
                  "` connects to it, and `bottle cleanup` ends it and brings its work home"};
    case Why::stopped:
      return {Code::canceled, "stopped before the agent ran"};
    case Why::launcher_gone:
      return {Code::canceled, "the launcher exited before the agent ran"};
    case Why::unreachable:
      cause = std::move(cause).during("the session's machine cannot be reached");
      cause.todo = "run `bottle cleanup` to try again";
      return cause;
    case Why::vm_gone:
      return {Code::not_found, "the VM " + names.vm + " is gone, and so is the work that was not fetched",
              "its last checkpoint is on refs/bottle/" + names.session};
  }
  return cause;
}

}  // namespace

wire::Event event_of(const Tell& tell, const SessionNames& names) {
  const std::string& why = tell.cause.what;
  switch (tell.notice) {
    case Notice::connected_again:
      return wire::Step{"reconnected"};
    case Notice::agent_runs:
      return wire::AgentRuns{names.session, std::nullopt};
    case Notice::link_lost:
      return wire::LinkLost{why + "; the agent keeps running while bottle reconnects"};
    case Notice::link_trying:
      return wire::LinkTrying{why};
    case Notice::link_back:
      return wire::LinkBack{};
    case Notice::checkpoint:
      return wire::CheckpointDone{};
    case Notice::no_checkpoints:
      return wire::Warning{"checkpoints fail, so the work comes home only at the end: " + why};
    case Notice::vm_time_nearly_up:
      return wire::Warning{"the time of VM " + names.vm + " is nearly up; ending the session to bring its work home"};
    case Notice::does_not_stop:
      return wire::Warning{names.machine + " does not end the session; fetching what can be fetched"};
    case Notice::collecting:
      return wire::Collecting{};
    case Notice::not_fetched_yet:
      return wire::LinkLost{"the work could not be fetched yet: " + why};
    case Notice::not_accounted:
      return wire::Warning{"the session's result could not be written, so its record stays: " + why +
                           "; run `bottle cleanup` to try again"};
    case Notice::destroying:
      return wire::DestroyingVm{names.vm};
  }
  return wire::Warning{why};
}

Error error_of(const TellFailure& failed, const SessionNames& names, const std::string& work) {
  Error error = why_failed(failed.failure, names);
  auto add = [&](const std::string& todo) { error.todo += (error.todo.empty() ? "" : "; ") + todo; };
  if (!work.empty()) add("the agent had started in the meantime, and its work was brought home to " + work);
  // The advice about what is left comes after the reason, because it is the same for many reasons.
  switch (failed.remains) {
    case Remains::nothing:
      break;
    case Remains::something:
      add("not everything was removed on " + names.machine + "; run `bottle cleanup` to try again");
      break;
    case Remains::vm:
      // Replaces other advice: a VM costs money until it is gone.
      error.todo = "the VM " + names.vm + " may still exist; run `bottle cleanup`";
      break;
    case Remains::agent:
      add("the agent may still run on " + names.machine +
          ", or its work may still be on that machine; run `bottle cleanup` to end it and bring its work home");
      break;
  }
  return error;
}

}  // namespace bottle::remote
