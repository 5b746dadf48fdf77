#include "remote/near/state/session_state.h"

#include <utility>

#include "remote/near/state/stepper.h"

namespace bottle::remote {
namespace {

template <class... P>
bool is_in(const State& state) {
  return (std::holds_alternative<P>(state.phase) || ...);
}

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
