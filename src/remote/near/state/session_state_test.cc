#include "remote/near/state/session_state.h"

#include <gtest/gtest.h>

#include "remote/near/state/session_state_test.h"

namespace bottle::remote {
namespace {

using Machine = SessionKind::Machine;
using Judge = SessionKind::Judge;
using Obstacle = input::FetchFailed::Obstacle;
using Left = input::Forgotten::Left;

const SessionKind kKnown{};                                     // a machine whose hello was judged before
const SessionKind kUnseen{Machine::standing, Judge::launcher};  // a machine that the launcher judges in the meantime
const SessionKind kVm{Machine::vm};                             // a VM, judged when it was made
const SessionKind kBaked{Machine::vm, Judge::near_side};        // a VM that this side judges
const SessionKind kKeptVm{Machine::kept_vm};
const SessionKind kAdopted{Machine::standing, Judge::earlier, true};
const SessionKind kAdoptedVm{Machine::vm, Judge::earlier, true};

const Error kBroken{Code::closed, "the connection broke"};
const Failure kStopped{Why::stopped};

struct Row {
  const char* what;
  SessionKind kind;
  Phase before;
  Input input;
  const char* after;
  const char* actions;
};

void check(const std::vector<Row>& rows) {
  for (const auto& row : rows) {
    auto next = step(row.kind, {row.before, {}, false}, row.input, {100, 100});
    EXPECT_EQ(name_of(next.state.phase), row.after) << row.what;
    EXPECT_EQ(text_of(next.actions), row.actions) << row.what;
  }
}

TEST(SessionState, Opens) {
  check({
      {"a machine", kKnown, phase::Opening{}, input::Opened{}, "SendingJob", "send_job"},
      {"a VM", kVm, phase::Opening{}, input::Opened{}, "MakingVm", "make_vm"},
      {"adopted", kAdopted, phase::Opening{}, input::Opened{}, "Reconnecting", "open_services connect"},
      {"adopted, with its work home", kAdoptedVm, phase::Opening{}, input::Opened{.home = true}, "Forgetting",
       "forget_on_far_side"},
      {"no record", kKnown, phase::Opening{}, input::OpenFailed{kBroken, false}, "Over",
       "close_link end_delivery failed:cannot_open:nothing"},
      {"half a record", kKnown, phase::Opening{}, input::OpenFailed{kBroken, true}, "Forgetting",
       "close_link end_delivery forget_on_far_side"},
      {"another's record", kAdopted, phase::Opening{}, input::OpenFailed{kBroken, true}, "Over",
       "close_link end_delivery failed:cannot_open:nothing"},
  });
}

TEST(SessionState, SendsValuesToAMachineThatWasJudged) {
  check({
      {"VM, judged", kVm, phase::MakingVm{}, input::VmMade{{1000, 300}}, "SendingJob", "tell_engine send_job"},
      {"VM, baked", kBaked, phase::MakingVm{}, input::VmMade{{1000, 300}}, "SendingJob", "send_job"},
      {"no VM", kVm, phase::MakingVm{}, input::VmFailed{kBroken}, "Forgetting",
       "close_link end_delivery forget_on_far_side"},
      {"judged before", kKnown, phase::SendingJob{}, input::JobSent{}, "Recording", "note_may_run send_work"},
      {"launcher judges", kUnseen, phase::SendingJob{}, input::JobSent{}, "AwaitingHello", "send_work"},
      {"near side judges", kBaked, phase::SendingJob{}, input::JobSent{}, "AwaitingHello", ""},
      {"no job", kKnown, phase::SendingJob{}, input::JobFailed{kBroken}, "Forgetting",
       "close_link end_delivery forget_on_far_side"},
      {"hello", kUnseen, phase::AwaitingHello{}, input::Hello{}, "AwaitingLauncher", "pass_hello"},
      {"admitted", kUnseen, phase::AwaitingLauncher{}, input::Admitted{}, "Recording", "note_may_run"},
      {"noted", kUnseen, phase::Recording{}, input::MayRunNoted{}, "Starting", "send_values"},
      {"not noted", kUnseen, phase::Recording{}, input::NoteFailed{kBroken}, "Forgetting",
       "close_link end_delivery forget_on_far_side"},
      {"hello of a VM", kBaked, phase::AwaitingHello{}, input::Hello{}, "Recording",
       "tell_engine note_may_run send_work"},
      {"unfit VM", kBaked, phase::AwaitingHello{}, input::Hello{kBroken}, "Forgetting",
       "close_link end_delivery forget_on_far_side"},
      // Only the side that judges releases the values.
      {"too early", kUnseen, phase::AwaitingHello{}, input::Admitted{}, "AwaitingHello", ""},
      {"a client's word for a VM", kBaked, phase::AwaitingHello{}, input::Admitted{}, "AwaitingHello", ""},
      {"lost", kUnseen, phase::AwaitingLauncher{}, input::LinkLost{kBroken}, "Forgetting",
       "close_link end_delivery forget_on_far_side"},
  });
}

// Until a machine has the values, this side accepts only its hello, progress and failures.
TEST(SessionState, IgnoresAMachineThatWasNotJudged) {
  for (Phase before : {Phase(phase::AwaitingHello{}), Phase(phase::AwaitingLauncher{}), Phase(phase::Recording{})}) {
    auto after = name_of(before);
    check({
        {"output", kUnseen, before, input::FarSpoke{}, after.c_str(), ""},
        {"a request", kUnseen, before, input::FarGuardAsked{}, after.c_str(), ""},
        {"progress", kUnseen, before, input::FarNotice{}, after.c_str(), "pass_to_clients"},
        {"running", kUnseen, before, input::FarRuns{}, "Forgetting", "close_link end_delivery forget_on_far_side"},
        {"ended", kUnseen, before, input::FarEnded{}, "Forgetting", "close_link end_delivery forget_on_far_side"},
        {"failed", kUnseen, before, input::FarFailed{kBroken}, "Forgetting",
         "close_link end_delivery forget_on_far_side"},
    });
  }
  check({
      {"output", kKnown, phase::Starting{}, input::FarSpoke{}, "Starting", "pass_to_clients"},
      {"a request", kKnown, phase::Starting{}, input::FarGuardAsked{}, "Starting", "answer_guard"},
  });
}

TEST(SessionState, StartsTheAgent) {
  check({
      {"runs", kKnown, phase::Starting{}, input::FarRuns{}, "Running",
       "show_running note_running begin_checkpoints pass_to_clients"},
      {"without its work", kKnown, phase::Starting{}, input::FarRunsWithoutWork{}, "StoppingFarSide",
       "close_link end_delivery stop_far_session"},
      {"ended at once", kKnown, phase::Starting{}, input::FarEnded{}, "Fetching",
       "end_delivery note_ended tell:collecting fetch:0"},
      {"failed", kKnown, phase::Starting{}, input::FarFailed{kBroken}, "Forgetting",
       "note_never_ran close_link end_delivery forget_on_far_side"},
      {"no workspace", kKnown, phase::Starting{}, input::DeliveryFailed{kBroken}, "StoppingFarSide",
       "close_link end_delivery stop_far_session"},
      {"no workspace, before values", kUnseen, phase::AwaitingLauncher{}, input::DeliveryFailed{kBroken}, "Forgetting",
       "close_link end_delivery forget_on_far_side"},
      {"keystrokes", kKnown, phase::Starting{}, input::ClientFrame{}, "Starting", ""},
  });
}

TEST(SessionState, AsksWhetherTheAgentRuns) {
  auto asking = [](int losses) { return phase::Asking{losses, kBroken}; };
  check({
      {"lost", kKnown, phase::Starting{}, input::LinkLost{kBroken}, "Asking", "connect"},
      {"back", kKnown, asking(1), input::LinkBack{}, "Asking", "tell:connected_again attach"},
      {"lost again", kKnown, asking(3), input::LinkLost{kBroken}, "Over",
       "close_link end_delivery note_may_run show_unattended failed:not_known:nothing"},
      {"not yet back", kKnown, asking(1), input::LinkFailed{4, false, kBroken}, "Asking", "connect"},
      {"not back", kKnown, asking(1), input::LinkFailed{5, false, kBroken}, "Over",
       "close_link end_delivery note_may_run show_unattended failed:not_known:nothing"},
      {"it runs", kKnown, asking(1), input::FarAttached{}, "Running",
       "show_running note_running begin_checkpoints tell:agent_runs"},
      {"it ended", kKnown, asking(1), input::FarEnded{}, "Fetching", "end_delivery note_ended tell:collecting fetch:0"},
      {"it never ran", kKnown, asking(1), input::FarFailed{{Code::not_found, "no such session"}}, "Forgetting",
       "note_never_ran close_link end_delivery forget_on_far_side"},
      {"it does not know", kKnown, asking(1), input::FarFailed{kBroken}, "Over",
       "close_link end_delivery note_may_run show_unattended failed:not_known:nothing"},
      {"both broke", kKnown, asking(1), input::DeliveryFailed{kBroken}, "Asking", ""},
  });
}

TEST(SessionState, Runs) {
  const Error gone{Code::not_found, "there is no such session"};
  check({
      {"output", kKnown, phase::Running{}, input::FarSpoke{}, "Running", "pass_to_clients"},
      {"keystrokes", kKnown, phase::Running{}, input::ClientFrame{}, "Running", "pass_to_far"},
      {"lost", kKnown, phase::Running{}, input::LinkLost{kBroken}, "Reconnecting", "tell:link_lost connect"},
      {"back", kKnown, phase::Reconnecting{}, input::LinkBack{}, "Running", "attach tell:link_back"},
      {"not back, once", kKnown, phase::Reconnecting{}, input::LinkFailed{1}, "Reconnecting",
       "tell:link_trying connect"},
      {"not back, often", kKnown, phase::Reconnecting{}, input::LinkFailed{19}, "Reconnecting", "connect"},
      {"the VM is gone", kVm, phase::Reconnecting{}, input::LinkFailed{1, true}, "AccountingForVm",
       "close_link end_delivery account_for_vm"},
      {"no checkpoint", kKnown, phase::Running{}, input::CheckpointFailed{kBroken}, "Running", ""},
      {"no checkpoint again", kKnown, phase::Reconnecting{1}, input::CheckpointFailed{kBroken}, "Reconnecting",
       "tell:no_checkpoints"},
      {"told before", kKnown, phase::Running{false, 2}, input::CheckpointFailed{kBroken}, "Running", ""},
      {"a checkpoint", kKnown, phase::Running{false, 2}, input::Checkpointed{true}, "Running", "tell:checkpoint"},
      {"nothing new", kKnown, phase::Running{}, input::Checkpointed{}, "Running", ""},
      {"ended", kKnown, phase::Running{}, input::FarEnded{}, "Fetching",
       "end_delivery note_ended tell:collecting fetch:0"},
      {"unknown there before it ran", kAdopted, phase::Running{}, input::FarFailed{gone}, "Forgetting",
       "close_link end_delivery forget_on_far_side"},
      {"failed", kKnown, phase::Running{}, input::FarFailed{kBroken}, "Over",
       "close_link end_delivery failed:far_failed:nothing"},
  });
}

// The machine looks for its sessions in another place than before. Its answer proves nothing.
TEST(SessionState, KeepsTheRecordOfAnAgentThatItsMachineNoLongerKnows) {
  const input::FarFailed unknown{{Code::not_found, "there is no such session"}};
  auto after = [&](const SessionKind& kind, State state, const std::vector<Input>& inputs) {
    std::vector<Action> actions;
    for (const auto& input : inputs) {
      auto next = step(kind, std::move(state), input, {100, 100});
      state = std::move(next.state);
      actions = std::move(next.actions);
    }
    return name_of(state.phase) + ": " + text_of(actions);
  };
  const std::string kept =
      "Over: close_link end_delivery note_may_run show_unattended failed:unknown_to_far_side:nothing";
  const input::FarRuns runs{};
  const input::FarAttached attached{};
  EXPECT_EQ(after(kKnown, {phase::Starting{}}, {runs, input::LinkLost{kBroken}, input::LinkBack{}, unknown}), kept);
  EXPECT_EQ(after(kAdopted, {}, {input::Opened{.ran = true}, input::LinkBack{}, unknown}), kept);
  EXPECT_EQ(after(kAdoptedVm, {}, {input::Opened{}, input::LinkBack{}, attached, unknown}), kept);
  EXPECT_EQ(after(kAdopted, {}, {input::Opened{}, input::LinkBack{}, attached}), "Running: note_running");
}

TEST(SessionState, StopsImmediatelyBeforeTheValuesAreSent) {
  for (Phase before : {Phase(phase::MakingVm{}), Phase(phase::AwaitingHello{}), Phase(phase::AwaitingLauncher{}),
                       Phase(phase::Recording{})})
    for (const Input& input : {Input(input::StopRequested{}), Input(input::LauncherGone{})})
      check({{"stop", kBaked, before, input, "Forgetting", "close_link end_delivery forget_on_far_side"}});
}

// The agent may have begun, so its work is fetched before anything is removed.
TEST(SessionState, FetchesWorkAfterAStoppedStart) {
  for (Phase before : {Phase(phase::Starting{}), Phase(phase::Asking{1, kBroken})})
    for (const Input& input : {Input(input::StopRequested{}), Input(input::LauncherGone{})})
      check({{"stop", kVm, before, input, "StoppingFarSide", "close_link end_delivery stop_far_session"}});
  phase::Fetching fetching{99, 0, kStopped};
  check({
      {"stopped", kVm, phase::StoppingFarSide{kStopped}, input::StopAnswered{true}, "Fetching", "fetch:0"},
      {"not stopped", kVm, phase::StoppingFarSide{kStopped}, input::StopAnswered{false}, "Over",
       "close_link end_delivery note_may_run show_unattended failed:stopped:agent"},
      {"fetched", kVm, fetching, input::Fetched{}, "Fetching", "note_home"},
      {"not yet", kVm, fetching, input::FetchFailed{.error = kBroken}, "Fetching",
       "tell:not_fetched_yet fetch:500:again"},
      {"not fetched", kVm, phase::Fetching{79, 3, kStopped}, input::FetchFailed{.error = kBroken}, "Over",
       "close_link end_delivery note_may_run show_unattended failed:stopped:agent"},
      {"gone", kVm, fetching, input::FetchFailed{Obstacle::vm_gone, kBroken}, "AccountingForVm",
       "close_link end_delivery account_for_vm"},
  });
}

TEST(SessionState, StopsTheAgent) {
  Deadlines stopping;
  stopping.ask_to_stop(100);
  auto after = [&](Phase phase, const Input& input, double awake) {
    auto next = step(kKnown, {std::move(phase), stopping, false}, input, {awake, awake});
    return name_of(next.state.phase) + ": " + text_of(next.actions);
  };
  check({{"asked", kKnown, phase::Running{}, input::StopRequested{}, "Running", "send_stop"},
         {"asked meanwhile", kKnown, phase::Reconnecting{}, input::StopRequested{}, "Reconnecting", ""}});
  EXPECT_EQ(after(phase::Running{true}, input::Tick{}, 110), "Running: ") << "once is enough";
  EXPECT_EQ(after(phase::Running{true}, input::Tick{}, 121), "Running: end_services");
  EXPECT_EQ(after(phase::Running{true}, input::Tick{}, 701),
            "Fetching: end_services tell:does_not_stop end_delivery note_ended tell:collecting fetch:0");
  EXPECT_EQ(after(phase::Reconnecting{}, input::LinkBack{}, 110), "Running: attach tell:link_back send_stop");
  EXPECT_EQ(after(phase::Reconnecting{}, input::LinkFailed{6}, 110), "Reconnecting: connect");
  EXPECT_EQ(after(phase::Reconnecting{}, input::LinkFailed{7}, 110),
            "Over: close_link end_delivery failed:unreachable:nothing");
  EXPECT_EQ(after(phase::Opening{}, input::Opened{}, 100), "Forgetting: close_link end_delivery forget_on_far_side");
}

TEST(SessionState, EndsASessionBeforeTheTimeOfItsVmIsUp) {
  State running{phase::Running{}, {}, false};
  running.deadlines.vm_ends_at(1000, 300);
  EXPECT_EQ(text_of(step(kVm, running, input::Tick{}, {5, 969}).actions), "");
  EXPECT_EQ(text_of(step(kVm, running, input::Tick{}, {5, 970}).actions), "tell:vm_time_nearly_up send_stop");
  running.phase = phase::Reconnecting{};
  EXPECT_EQ(text_of(step(kVm, running, input::Tick{}, {5, 970}).actions), "");
}

TEST(SessionState, BringsTheWorkHomeBeforeAnythingIsRemoved) {
  phase::Fetching recent{99}, old{-201, 4}, held{79, 4}, here = recent;
  here.is_here = true;
  input::FetchFailed unreachable{Obstacle::connection, kBroken}, in_container{Obstacle::held, kBroken};
  check({
      {"here", kVm, recent, input::Fetched{}, "Fetching", "note_home"},
      {"home", kVm, here, input::HomeNoted{}, "Forgetting", "forget_on_far_side"},
      {"not here", kVm, recent, input::HomeNoted{}, "Fetching", ""},
      {"not noted", kVm, here, input::NoteFailed{kBroken}, "Over",
       "tell:not_fetched_yet hold_vm save_result show_unfetched tell_result"},
      {"not yet", kVm, recent, unreachable, "Fetching", "tell:not_fetched_yet fetch:500:again"},
      {"not for a while", kVm, phase::Fetching{99, 4}, unreachable, "Fetching", "fetch:8000:again"},
      {"not for long", kVm, phase::Fetching{99, 5}, unreachable, "Fetching", "tell:not_fetched_yet fetch:15000:again"},
      {"held", kVm, recent, in_container, "Fetching", "tell:not_fetched_yet fetch:1000"},
      {"held for long", kVm, held, in_container, "Over", "hold_vm save_result show_unfetched tell_result"},
      {"held as before", kAdopted, phase::Fetching{99.9}, in_container, "Over",
       "save_result show_unfetched tell_result"},
      {"held on a VM as before", kAdoptedVm, phase::Fetching{99.9}, in_container, "Fetching",
       "tell:not_fetched_yet fetch:1000"},
      {"not reached for long", kVm, old, unreachable, "Over", "hold_vm save_result show_unfetched tell_result"},
      {"no VM", kKnown, old, unreachable, "Over", "save_result show_unfetched tell_result"},
      {"the VM is gone", kVm, recent, input::FetchFailed{Obstacle::vm_gone, kBroken}, "AccountingForVm",
       "close_link end_delivery account_for_vm"},
  });
}

// Once the record is removed, only the result says that the work is lost.
TEST(SessionState, AccountsForAVmThatIsGone) {
  phase::AccountingForVm ran{}, failed{kStopped};
  check({
      {"lost", kVm, ran, input::Accounted{false}, "Over", "remove_record tell_result"},
      {"failed", kVm, failed, input::Accounted{false}, "Over", "remove_record failed:stopped:nothing"},
      {"home before", kVm, failed, input::Accounted{true}, "Over", "remove_record tell_result"},
      {"not written", kVm, ran, input::NotAccounted{kBroken}, "Over",
       "tell:not_accounted show_left_behind tell_result"},
      {"failed and not written", kVm, failed, input::NotAccounted{kBroken}, "Over",
       "tell:not_accounted show_left_behind failed:stopped:nothing"},
  });
}

TEST(SessionState, LeavesNothing) {
  phase::Forgetting ran{}, failed{kStopped};
  phase::DestroyingVm destroying{}, destroying_failed{kStopped};
  check({
      {"forgotten", kKnown, ran, input::Forgotten{Left::nothing}, "Over", "save_result remove_record tell_result"},
      {"not confirmed", kKnown, ran, input::Forgotten{Left::something}, "Over",
       "save_result show_left_behind tell_result"},
      {"not reached", kKnown, ran, input::Forgotten{Left::unknown}, "Over", "save_result show_left_behind tell_result"},
      {"VM", kVm, ran, input::Forgotten{Left::nothing}, "DestroyingVm", "tell:destroying destroy_vm"},
      {"kept VM", kKeptVm, ran, input::Forgotten{Left::nothing}, "Over", "save_result remove_record tell_result"},
      {"destroyed", kVm, destroying, input::VmDestroyed{true}, "Over", "save_result remove_record tell_result"},
      {"perhaps destroyed", kVm, destroying, input::VmDestroyed{false}, "Over",
       "save_result show_left_behind tell_result"},
      // These are the ends of a session that failed.
      {"forgotten", kKnown, failed, input::Forgotten{Left::nothing}, "Over", "remove_record failed:stopped:nothing"},
      {"has work", kKnown, failed, input::Forgotten{Left::work}, "Over",
       "close_link end_delivery note_may_run show_unattended failed:stopped:agent"},
      {"VM that has work", kVm, failed, input::Forgotten{Left::work}, "Over",
       "close_link end_delivery note_may_run show_unattended failed:stopped:agent"},
      {"not confirmed", kKnown, failed, input::Forgotten{Left::something}, "Over",
       "show_left_behind failed:stopped:something"},
      {"never reached", kKnown, failed, input::Forgotten{Left::unknown}, "Over",
       "remove_record failed:stopped:nothing"},
      {"VM", kVm, failed, input::Forgotten{Left::nothing}, "DestroyingVm", "tell:destroying destroy_vm"},
      {"kept VM that was not used", kKeptVm, failed, input::Forgotten{Left::nothing}, "DestroyingVm",
       "tell:destroying destroy_vm"},
      {"VM that was gone", kVm, ran, input::Forgotten{Left::no_vm}, "Over", "save_result remove_record tell_result"},
      {"VM that is there", kVm, failed, input::Forgotten{Left::unknown}, "DestroyingVm", "tell:destroying destroy_vm"},
      {"VM that is gone", kVm, failed, input::Forgotten{Left::no_vm}, "Over", "remove_record failed:stopped:nothing"},
      {"destroyed", kVm, destroying_failed, input::VmDestroyed{true}, "Over", "remove_record failed:stopped:nothing"},
      {"perhaps destroyed", kVm, destroying_failed, input::VmDestroyed{false}, "Over",
       "show_left_behind failed:stopped:vm"},
  });
}

}  // namespace
}  // namespace bottle::remote
