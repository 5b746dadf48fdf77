// Implements the near side's table of states as functions: on(input) says what an input does in each state in which
// it has a meaning. One rule stands behind all of them. As soon as the values are sent, only the far side can tell
// whether the agent runs. So a note goes to the ledger first, and from then on nothing is removed until the work is
// home or the machine has said that there is none.
//
// If the machine's state is unknown and no answer comes, this side ends the session and keeps its record, from which
// a later command learns what to ask. While a person waits, attempts end soon; while only the agent runs, they never
// end.
#pragma once

#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "remote/near/state/session_state.h"

namespace bottle::remote {

// Takes one step of a near side: from a state and an input to the next state and the actions.
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
  bool has_vm() const { return kind_.machine != SessionKind::Machine::standing; }

  template <class... A>
  void perform(A&&... actions) {
    (actions_.push_back(Action(std::forward<A>(actions))), ...);
  }
  void become(Phase phase) { state_.phase = std::move(phase); }

  // -- opening (opening.cc)

  void on(const input::Opened& opened);
  void on(const input::OpenFailed& failed);
  void on(const input::VmMade& made);
  void on(const input::VmFailed& failed);
  void on(const input::JobSent&);
  void on(const input::JobFailed& failed);
  void on(const input::Hello& hello);
  void on(const input::Admitted&);
  void release_values();
  void on(const input::MayRunNoted&);
  void on(const input::NoteFailed& failed);

  // -- time and stopping (running.cc, like the next three)

  void on(const input::Tick&);
  void on(const input::StopRequested&);
  void on(const input::LauncherGone&);
  void continue_stop();

  // -- the connection

  void on(const input::LinkLost& lost);
  void ask_again(int losses, const Error& lost);
  void on(const input::LinkFailed& failed);
  void on(const input::LinkBack&);

  // -- what the far side says

  void on(const input::FarSpoke&);
  void on(const input::FarNotice&);
  void on(const input::FarGuardAsked&);
  void on(const input::FarRuns&);
  void on(const input::FarAttached&);
  void on(const input::FarRunsWithoutWork&);
  void begin_running(Action told);
  void on(const input::FarEnded&);
  void on(const input::FarFailed& failed);

  // -- transfers

  void on(const input::DeliveryFailed& failed);
  int* missed_checkpoints();
  void on(const input::Checkpointed& done);
  void on(const input::CheckpointFailed& failed);
  void on(const input::ClientFrame&);

  // -- the end of a session that ran (ending.cc, like the next two)

  void fetch_work();
  void on(const input::Fetched&);
  void on(const input::HomeNoted&);
  double fetch_patience(bool held, bool failed) const;
  void on(const input::FetchFailed& failed);
  void leave_unfetched();

  // -- the end of a session that failed

  void abandon(Failure failure);
  void on(const input::StopAnswered& answered);
  void end_unused(Failure failure);
  void forget(Failure failure);
  void leave_running(Failure failure);
  void leave_unknown(Failure failure, Remains remains);

  // -- the end of everything

  void on(const input::Forgotten& forgotten);
  void on(const input::VmDestroyed& destroyed);
  void end_without_vm(std::optional<Failure> failure);
  void on(const input::Accounted& accounted);
  void on(const input::NotAccounted& failed);
  void end(std::optional<Failure> failure, Remains remains);
  void tell_end(Action record, std::optional<Failure> failure, Remains remains);

  const SessionKind& kind_;
  State state_;
  Now now_;
  std::vector<Action> actions_;
};

}  // namespace bottle::remote
