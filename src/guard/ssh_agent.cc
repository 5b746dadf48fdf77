// Frames the messages of the ssh-agent protocol: four bytes of length, then the message. Answers carry no number, so
// only one message is under way at a time. The guard does not parse the messages. The filter on the other side
// (src/sshagent) decides which requests are allowed, because it must not depend on a guard that an agent may have
// taken over.
#include "guard/ssh_agent.h"

#include "base/ids.h"
#include "pki/seal.h"

namespace bottle::guard {
namespace {

// Keys and signatures need a few kilobytes. A connection holds one message in each direction.
constexpr size_t kMostMessage = 32 * 1024, kMostConnections = 16;
constexpr int64_t kIdle = 600 * 1000, kAnswer = 150 * 1000;  // a person may have to touch a token

void tell(Context& context, uint32_t connection, std::optional<std::string> request) {
  context.audit.raw(wire::encode(wire::FromGuard(wire::AgentRequest{connection, std::move(request)})) + "\n");
}

size_t length_of(std::string_view bytes) {
  size_t length = 0;
  for (size_t i = 0; i < 4; ++i) length = length << 8 | static_cast<unsigned char>(bytes[i]);
  return length;
}

// Waits for one whole message at the front of client.in. Returns false if the client ended or violates the protocol.
Task<bool> whole_message(Connection& c) {
  int64_t deadline = c.now() + kIdle;
  while (true) {
    if (c.client.in.size() >= 4) {
      size_t length = length_of(c.client.in);
      if (length == 0 || length > kMostMessage) co_return false;
      if (c.client.in.size() >= 4 + length) co_return true;
    }
    if (c.client.fill()) continue;
    if (c.client.eof || c.client.failed || c.now() >= deadline) co_return false;
    co_await c.wait(deadline);
  }
}

Task<bool> flush_all(Connection& c) {
  int64_t deadline = c.now() + 30 * 1000;
  while (!c.client.flushed() && !c.client.failed && c.now() < deadline)
    if (!c.client.flush()) co_await c.wait(deadline);
  co_return c.client.flushed();
}

}  // namespace

Task<void> serve_ssh_agent(Connection& c) {
  Context& context = c.context;
  if (!c.config->ssh_agent)
    co_return co_await refuse(c, Kind::ssh_agent, {403, "not_allowed", "this bottle has no ssh-agent"});
  if (context.agent_calls.size() >= kMostConnections)
    co_return co_await refuse(c, Kind::ssh_agent, {403, "not_allowed", "too many connections to the ssh-agent"});
  // The call lives in this frame, and its entry in the table is removed before the frame ends.
  AgentCall call{&c.waker};
  uint32_t number = context.next_agent_call++;
  context.agent_calls[number] = &call;
  c.client.out.append("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: ssh-agent\r\n\r\n");
  bool going = co_await flush_all(c);
  while (going && co_await whole_message(c)) {
    size_t length = length_of(c.client.in);
    tell(context, number, c.client.in.substr(4, length));
    c.client.in.erase(0, 4 + length);
    call.answered = false;
    int64_t deadline = c.now() + kAnswer;
    while (!call.answered && !call.over && !c.client.source->is_gone() && c.now() < deadline) co_await c.wait(deadline);
    // If an answer is late, it could be mistaken for the answer to the next message, so the connection ends.
    if (!call.answered || call.over) break;
    for (int shift = 24; shift >= 0; shift -= 8) c.client.out += static_cast<char>(call.answer.size() >> shift & 255);
    c.client.out.append(call.answer);
    going = co_await flush_all(c);
  }
  context.agent_calls.erase(number);
  // The other side closes its connection to the ssh-agent, and with it the binding to a host.
  tell(context, number, std::nullopt);
}

uint32_t report_ssh_tunnel(const Connection& c, const std::string& proof) {
  if (!c.config->ssh_agent) return 0;
  wire::SshTunnel tunnel{c.context.next_ssh_tunnel++, to_hex(pki::digest(proof))};
  c.context.audit.raw(wire::encode(wire::FromGuard(tunnel)) + "\n");
  return tunnel.tunnel;
}

void end_ssh_tunnel(Context& context, uint32_t number) {
  if (number) context.audit.raw(wire::encode(wire::FromGuard(wire::SshTunnel{number, std::nullopt})) + "\n");
}

void end_agent_calls(Context& context) {
  for (auto& [number, call] : context.agent_calls) {
    call->over = call->answered = true;
    call->waker->wake();
  }
}

void take_agent_answer(Context& context, const wire::AgentAnswer& message) {
  auto call = context.agent_calls.find(message.connection);
  if (call == context.agent_calls.end()) return;  // the client left in the meantime
  if (!message.answer || message.answer->empty()) call->second->over = true;
  else call->second->answer = *message.answer;
  call->second->answered = true;
  call->second->waker->wake();
}

}  // namespace bottle::guard
