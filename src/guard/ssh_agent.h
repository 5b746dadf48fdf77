// The way from the bottle to the session's ssh-agent: whole messages over the control channel. What may be asked is
// decided at the other end, where the keys are; the guard only bounds and frames.
#pragma once

#include <string>

#include "guard/connection.h"
#include "wire/guard/control.h"

namespace bottle::guard {

struct AgentCall {
  Waker* waker;
  bool answered = false, over = false;
  std::string answer;  // a whole message without its length
};

// `GET /ssh-agent` on a client connection, until one side ends. Refused where the configuration has no ssh_agent.
Task<bool> serve_ssh_agent(Connection& connection);

// From the control channel.
void take_agent_answer(Context& context, const wire::AgentAnswer& message);

// The owner of the keys cannot be reached: all of them are closed.
void end_agent_calls(Context& context);

}  // namespace bottle::guard
