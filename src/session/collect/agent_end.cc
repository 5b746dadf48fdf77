// Usually, the container has ended a moment before its stream, and the first question is the only one.
#include "session/collect/agent_end.h"

#include <signal.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>

#include "base/os/deadline.h"
#include "docker/answers.h"

namespace bottle::session {

using namespace std::chrono_literals;

namespace {

// An engine notices the end of a container later than its stream's. After this time, it is asked whether the container
// still runs.
constexpr int kNoticeMs = 5000;
// An engine that restarts refuses connections for a few seconds. If it takes longer, the work is held.
constexpr auto kRestart = 20s;

bool is_running(const Result<nlohmann::json>& said) {
  return said && docker::member(docker::member(*said, "State"), "Running") == true;
}

Result<AgentEnd> try_to_end(docker::Engine& engine, const std::string& container) {
  auto status = engine.wait_container(container, std::min(kNoticeMs, docker::call_timeout_ms()));
  // The end itself may take long, for example while the kernel frees much memory or waits for a disk.
  if (!status && is_running(engine.inspect_container(container))) status = engine.wait_container(container);
  if (status) return AgentEnd{*status, false};
  auto said = engine.inspect_container(container);
  auto exit = said && docker::is_at_rest(*said) ? docker::exit_of(*said) : std::nullopt;
  if (exit) return AgentEnd{exit->status, false};
  TRY(engine.stop_container(container, 3));
  return AgentEnd{TRY(engine.wait_container(container)), is_running(said)};
}

}  // namespace

Result<AgentEnd> end_agent(docker::Engine& engine, const std::string& container) {
  auto deadline = Deadline::in(kRestart);
  for (;;) {
    auto end = try_to_end(engine, container);
    // Other errors will not go away so soon.
    bool is_away = !end && (end.error().code == Code::unavailable || end.error().code == Code::closed);
    if (!is_away || deadline.is_over()) return end;
    std::this_thread::sleep_for(200ms);
  }
}

bool ran_out_of_memory(docker::Engine& engine, const std::string& container) {
  auto said = engine.inspect_container(container);
  auto end = said ? docker::exit_of(*said) : std::nullopt;
  return end && end->is_out_of_memory;
}

std::string cause_of_death(docker::Engine& engine, const std::string& container) {
  // A connection to the container can break before the engine notices that it has ended.
  (void)engine.wait_container(container, kNoticeMs);
  auto said = engine.inspect_container(container);
  auto state = said ? docker::exit_of(*said) : std::nullopt;
  if (!state) return "died";
  if (state->is_out_of_memory) return "ran out of memory and was killed";
  if (state->status <= 128) return "exited with status " + std::to_string(state->status);
  int signal = state->status - 128;
  // An engine forgets that a container ran out of memory if it learns about that after the exit.
  return "was killed by signal " + std::to_string(signal) +
         (signal == SIGKILL ? ", perhaps because it ran out of memory" : "");
}

}  // namespace bottle::session
