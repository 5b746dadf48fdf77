// Usually, the container has ended a moment before its stream, and the first question is the only one.
#include "session/collect/agent_end.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "docker/answers.h"

namespace bottle::session {

using namespace std::chrono_literals;

namespace {

// An engine notices the end of a container later than its stream's.
constexpr int kNoticeMs = 5000;

bool is_running(docker::Engine& engine, const std::string& container) {
  auto said = engine.inspect_container(container);
  return said && docker::member(docker::member(*said, "State"), "Running") == true;
}

Result<AgentEnd> try_to_end(docker::Engine& engine, const std::string& container) {
  auto status = engine.wait_container(container, std::min(kNoticeMs, docker::call_timeout_ms()));
  if (status) return AgentEnd{*status, false};
  bool runs = is_running(engine, container);
  TRY(engine.stop_container(container, 3));
  return AgentEnd{TRY(engine.wait_container(container)), runs};
}

}  // namespace

Result<AgentEnd> end_agent(docker::Engine& engine, const std::string& container) {
  auto until = std::chrono::steady_clock::now() + 60s;
  for (;;) {
    auto end = try_to_end(engine, container);
    // An engine that restarts refuses connections for a few seconds. Other errors will not go away so soon.
    bool is_away = !end && (end.error().code == Code::unavailable || end.error().code == Code::closed);
    if (!is_away || std::chrono::steady_clock::now() > until) return end;
    std::this_thread::sleep_for(200ms);
  }
}

}  // namespace bottle::session
