// Connects the bottle to the session's ssh-agent, by sending whole messages over the control channel. The other end,
// which has the keys, decides which requests are allowed. The guard only limits and frames the messages.
#pragma once

#include <string>

#include "guard/connection/connection.h"
#include "wire/guard/control.h"

namespace bottle::guard {

// Stands for one open connection to the ssh-agent. It lives in the frame of the coroutine that serves it, and
// Context::agent_calls refers to it.
struct AgentCall {
  Waker* waker;
  bool answered = false, over = false;
  std::string answer;  // a whole message, without its length
};

// Serves `GET /ssh-agent` on a client connection until one side ends. Refuses it if the configuration has no ssh_agent.
Task<void> serve_ssh_agent(Connection& connection);

// Takes a message from the control channel. If it has no answer, closes the connection.
void take_agent_answer(Context& context, const wire::AgentAnswer& message);

// Tells the owner of the keys that a tunnel to a host of ssh has seen the server's key exchange, whose proof is that of
// SshWatch. Returns the tunnel's number, for end_ssh_tunnel(). Both do nothing if the session has no ssh-agent; the
// number is then 0.
uint32_t report_ssh_tunnel(const Connection& connection, const std::string& proof);
void end_ssh_tunnel(Context& context, uint32_t number);

// Closes all connections to the ssh-agent, because the owner of the keys cannot be reached.
void end_agent_calls(Context& context);

}  // namespace bottle::guard
