// Defines the near side of a session on another machine as a state machine. step() is pure: it uses no clock, no socket
// and no JSON. The driver (driver.h) tells it what happened and performs the actions that it returns. ARCHITECTURE.md
// has the table of states.
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "base/error.h"
#include "remote/near/state/deadlines.h"

namespace bottle::remote {

// Says what a session is. It does not change once the session's record is open.
struct SessionKind {
  enum class Machine { standing, vm, kept_vm } machine = Machine::standing;  // vm and kept_vm are made for the session
  enum class Judge { earlier, launcher, near_side } judge = Judge::earlier;
  bool adopted = false;  // another near side began the session and died; the agent may run or may have ended
};

// Says why a session ends without a result.
enum class Why {
  cannot_open,      // its record on this machine could not be made
  vm_failed,        // the VM could not be created
  job_failed,       // the job could not be sent
  not_admitted,     // the machine's hello shows that it is unfit
  not_recorded,     // the ledger could not say that the agent may run
  false_start,      // the machine says that the agent runs although it has no values
  no_workspace,     // the machine says that the agent runs although it has not taken the workspace
  delivery_failed,  // the workspace could not be sent
  lost_before_values,
  stopped,              // it was stopped before the agent ran
  launcher_gone,        // the launcher exited before the agent ran
  far_failed,           // the machine reported a failure, in its own words
  never_ran,            // the connection broke, and the machine says that it has no such session
  unknown_to_far_side,  // the agent ran, and the machine says that it has no such session
  not_known,            // the connection broke, and it is unknown whether the agent runs
  unreachable,          // the session should stop, but its machine cannot be reached
  vm_gone,              // the VM was destroyed, with the work that was not fetched
};
// Says why a session has no result, with the error that led to it.
struct Failure {
  Why why;
  Error cause = {};
  Error lost = {};  // how the connection broke, for never_ran and not_known
};

// These are the states. A session is in exactly one of them, and ARCHITECTURE.md says what is true in each.
namespace phase {
struct Opening {};
struct MakingVm {};
struct SendingJob {};
struct AwaitingHello {};
struct AwaitingLauncher {};
struct Recording {};
struct Starting {};
struct Asking {
  int losses = 1;
  Error lost;  // how the connection broke
};
// Running and Reconnecting both count failed checkpoints, because the count goes on across a broken connection.
struct Running {
  bool stop_sent = false;      // the stop was sent over this connection
  int missed_checkpoints = 0;  // number of failures in a row
};
struct Reconnecting {
  int missed_checkpoints = 0;
};
// From this state on, the session is ending. `failure` says why it has no result.
struct StoppingFarSide {
  Failure failure;
};
// In this state and the three that follow, `failure` is empty if the session has a result.
struct Fetching {
  double since = 0;  // in Now::awake
  int attempt = 0;
  std::optional<Failure> failure;
  bool is_here = false;  // the work has come, but the ledger does not say so yet
};
struct Forgetting {
  std::optional<Failure> failure;
};
struct DestroyingVm {
  std::optional<Failure> failure;
};
// The VM was destroyed in the meantime. Unless the work came home before, only the session's record says that it is
// lost.
struct AccountingForVm {
  std::optional<Failure> failure;
};
struct Over {};
}  // namespace phase

using Phase = std::variant<phase::Opening, phase::MakingVm, phase::SendingJob, phase::AwaitingHello,
                           phase::AwaitingLauncher, phase::Recording, phase::Starting, phase::Asking, phase::Running,
                           phase::Reconnecting, phase::StoppingFarSide, phase::Fetching, phase::Forgetting,
                           phase::DestroyingVm, phase::AccountingForVm, phase::Over>;

// Holds the whole state of a near side. A near side that adopts a session begins in Opening like any other.
struct State {
  Phase phase;
  Deadlines deadlines;
  bool services_ended = false;
  bool has_run = false;  // the machine has said that the agent runs
};

// These are the inputs. Each reports what happened.
namespace input {
// The time of a VM, from its record.
struct VmLife {
  double ends = 0, ttl = 0;  // `ends` is in Now::boot, `ttl` in seconds
};
// The session's record on this machine exists.
struct Opened {
  std::optional<VmLife> vm = {};  // set for an adopted session
  bool home = false;              // an earlier near side brought the work home
  bool ran = false;               // the machine told an earlier near side that the agent runs
};
// The record could not be made or taken over.
struct OpenFailed {
  Error error;
  bool recorded = true;  // false if the session has no record yet
};
// The VM exists, and its far side can be reached.
struct VmMade {
  VmLife vm;
};
// The VM could not be made. It may exist nevertheless.
struct VmFailed {
  Error error;
};
struct JobSent {};
// The job could not be sent.
struct JobFailed {
  Error error;
};
// The machine's hello has come.
struct Hello {
  std::optional<Error> refused;  // set only if the near side judges it
};
// The ledger says that the agent may run.
struct MayRunNoted {};
// The ledger says that the work is home.
struct HomeNoted {};
// Writing one of these two to the ledger failed. Even so, the ledger may say it.
struct NoteFailed {
  Error error;
};
struct Tick {};           // time has passed
struct StopRequested {};  // by the operator or by a signal
struct LauncherGone {};
struct Admitted {};     // the launcher has judged the hello and releases the values
struct ClientFrame {};  // a frame for the far side, such as keystrokes
// The connection broke.
struct LinkLost {
  Error error;
};
struct LinkFailed {  // reconnecting failed
  int attempts = 1;  // since the last connection that lasted
  bool vm_gone = false;
  Error error;
};
struct LinkBack {};
struct FarSpoke {};       // the agent's output came
struct FarNotice {};      // progress was reported
struct FarGuardAsked {};  // the far guard asked for something that stays on this machine
struct FarRuns {};        // the agent runs
struct FarAttached {};    // the same, in the answer to an attach
// The machine says that the agent runs, but as far as this side knows, it has not taken the workspace.
struct FarRunsWithoutWork {};
struct FarEnded {};  // the agent has ended, and the machine has sent its result
// The machine reports that the session failed, or that it has none.
struct FarFailed {
  Error error;  // Code::not_found means that the machine has no such session
};
// The workspace did not arrive, or it is not known to have arrived.
struct DeliveryFailed {
  Error error;
};
// A checkpoint was fetched. `changed` says whether it had something new.
struct Checkpointed {
  bool changed = false;
};
// A checkpoint could not be fetched.
struct CheckpointFailed {
  Error error;
};
struct StopAnswered {    // the answer to Do::stop_far_session
  bool stopped = false;  // the machine says that the session has ended
};
struct Fetched {};
// The work could not be fetched.
struct FetchFailed {
  enum class Obstacle {
    connection,  // a new connection may help
    held,        // only time helps: the machine cannot reach the work, or this one cannot write it
    vm_gone,     // the VM is gone, and the work with it
  } obstacle = Obstacle::connection;
  Error error;
};
// The answer to Do::forget_on_far_side: what is left of the session on that machine.
struct Forgotten {
  enum class Left {
    nothing,    // its engine confirms that
    something,  // it answered, and something is or may be left
    work,       // it answered that only it has the work of an agent that was thought not to have run
    unknown,    // it could not be reached
    no_vm,      // likewise, and no VM of the session is recorded
  } left = Left::unknown;
};
// The answer to Do::destroy_vm. `confirmed` is what the provider confirms.
struct VmDestroyed {
  bool confirmed = false;
};
// The result of a session without its VM would survive a power failure.
struct Accounted {
  bool home = false;  // an earlier near side brought the work home
};
// That result could not be written.
struct NotAccounted {
  Error error;
};
}  // namespace input

using Input = std::variant<input::Opened, input::OpenFailed, input::VmMade, input::VmFailed, input::JobSent,
                           input::JobFailed, input::Hello, input::MayRunNoted, input::HomeNoted, input::NoteFailed,
                           input::Tick, input::StopRequested, input::LauncherGone, input::Admitted, input::ClientFrame,
                           input::LinkLost, input::LinkFailed, input::LinkBack, input::FarSpoke, input::FarNotice,
                           input::FarGuardAsked, input::FarRuns, input::FarAttached, input::FarRunsWithoutWork,
                           input::FarEnded, input::FarFailed, input::DeliveryFailed, input::Checkpointed,
                           input::CheckpointFailed, input::StopAnswered, input::Fetched, input::FetchFailed,
                           input::Forgotten, input::VmDestroyed, input::Accounted, input::NotAccounted>;

// These are the actions that the driver must perform. An action with an arrow leads to one of the inputs after the
// arrow.
enum class Do {
  make_vm,        // → VmMade, VmFailed
  send_job,       // all except the values → JobSent, JobFailed
  send_work,      // the workspace and the skills → DeliveryFailed, or nothing
  send_values,    // also tells the far guard that this side answers
  open_services,  // so that the far side can use what stays on this machine
  end_services,
  answer_guard,     // answers the request that has just come
  pass_to_clients,  // the frame that has just come
  pass_to_far,      // the frame that has just come
  pass_hello,       // to the launcher, which judges it
  tell_engine,      // passes on when the VM's engine first answered, which is in its hello
  connect,          // connects again → LinkBack, LinkFailed
  attach,           // to the far session, whose output continues where it broke off
  send_stop,
  begin_checkpoints,
  close_link,
  end_delivery,
  stop_far_session,    // over a new connection → StopAnswered
  forget_on_far_side,  // removes everything of the session from the machine → Forgotten
  destroy_vm,          // → VmDestroyed
  hold_vm,             // it has work that could not be fetched, so only the end of its time may destroy it
  remove_record,       // the session's record on this machine, because nothing is left on the other one
  save_result,
  account_for_vm,  // saves the result of a session whose VM is gone → Accounted, NotAccounted
  tell_result,
};

// These are the notes for the ledger. A note is on the disk before the next action begins.
enum class Note {
  may_run,  // → MayRunNoted, NoteFailed
  running,
  never_ran,
  ended,
  home,  // → HomeNoted, NoteFailed
};

// Says what `bottle list` shows from now on.
enum class Show {
  running,
  unattended,
  unfetched,
  left_behind,  // something may be left on the machine, and `bottle cleanup` asks it again
};

// These are the notices to the clients.
enum class Notice {
  connected_again,
  agent_runs,
  link_lost,
  link_trying,
  link_back,
  checkpoint,
  no_checkpoints,
  vm_time_nearly_up,
  does_not_stop,
  collecting,
  not_fetched_yet,
  not_accounted,
  destroying,
};
// Holds a notice, with the error that led to it, if there is one.
struct Tell {
  Notice notice;
  Error cause = {};
};

struct FetchWork {  // → Fetched, FetchFailed
  int wait_ms = 0;
  bool reconnect = false;  // the present connections may be dead
};

// Says what may still exist after a session has failed.
enum class Remains { nothing, something, vm, agent };
struct TellFailure {
  Failure failure;
  Remains remains = Remains::nothing;
};

using Action = std::variant<Do, Note, Show, Tell, FetchWork, TellFailure>;

// Holds the time of an input, on two clocks (deadlines.h).
struct Now {
  double awake = 0;  // seconds of the steady clock
  double boot = 0;   // boot_seconds()
};

// Holds the result of step().
struct Step {
  State state;
  std::vector<Action> actions;
};

// Returns the next state and the actions, which must be performed in their order. An input that has no meaning in a
// state changes nothing. Pure.
Step step(const SessionKind& kind, State state, const Input& input, Now now);

// Returns whether the session is over for this process, which may then exit.
bool is_over(const State& state);
// Returns whether the values are still on this machine, so that nothing can run on the other one.
bool keeps_values(const State& state);
// Returns whether the values are sent and only the far side knows whether the agent runs.
bool may_run(const State& state);
// Returns whether the agent runs, as far as this side knows.
bool agent_runs(const State& state);
// Returns whether the session ends with the launcher that began it.
bool needs_launcher(const SessionKind& kind, const State& state);

}  // namespace bottle::remote
