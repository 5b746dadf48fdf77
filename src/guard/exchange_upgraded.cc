// A connection after its 101: WebSocket messages, looked through where there are secrets, else bytes.
#include "guard/exchange.h"

namespace bottle::guard {

// Before a connection is broken off: what stood before the reason still goes where it was going.
void Exchange::flush_both() {
  c_.upstream.flush();
  c_.client.flush();
}

// What the client has sent, to the server. False: the connection is to end.
bool Exchange::pass_up(MessageScan* messages) {
  Stream &client = c_.client, &up = c_.upstream;
  if (!messages) {
    up.out.append(client.in);
    client.in.clear();
    return true;
  }
  if (messages->pass(client.in, up.out)) return true;
  flush_both();
  return messages->broken() ? fail_with(400, "bad_request", messages->broken()) : refuse_request();
}

bool Exchange::pass_down(MessageScan* messages) {
  Stream &client = c_.client, &up = c_.upstream;
  if (!messages) {
    client.out.append(up.in);
    up.in.clear();
    return true;
  }
  if (messages->pass(up.in, client.out)) return true;
  flush_both();
  return messages->broken() ? fail_with(502, "bad_answer", messages->broken()) : refuse_answer();
}

Task<Outcome> Exchange::upgraded() {
  Stream &client = c_.client, &up = c_.upstream;
  std::optional<MessageScan> messages_up, messages_down;
  if (request_.framed) {
    messages_up.emplace(WebSocketSender::client, [this] { return scan_.outgoing(Place::message, Syntax::text); });
    messages_down.emplace(WebSocketSender::server, [this] { return scan_.incoming(); });
  }
  MessageScan *to_server = messages_up ? &*messages_up : nullptr,
              *to_client = messages_down ? &*messages_down : nullptr;
  auto little = [](const MessageScan* messages) { return messages && messages->holds_little(); };
  int64_t last = c_.now();
  int rounds = 0;
  while (true) {
    if (withdrawn()) co_return Outcome::abort;
    bool progress = false;
    if (up.unsent() < kHigh) {
      progress |= client.fill();
      if (!pass_up(to_server)) co_return Outcome::abort;
    }
    if (client.unsent() < kHigh) {
      progress |= up.fill();
      if (!pass_down(to_client)) co_return Outcome::abort;
    }
    progress |= up.flush();
    progress |= client.flush();
    if (client.failed || up.failed) co_return Outcome::abort;
    if ((client.eof && up.flushed()) || (up.eof && client.flushed())) co_return Outcome::abort;
    if (progress) {
      last = c_.now();
      if (++rounds % 16 == 0) co_await c_.turn();
      continue;
    }
    bool waits = little(to_server) || little(to_client);
    if (waits && c_.now() - last >= kMostQuiet) {
      if (little(to_server) && !to_server->release(up.out)) co_return refuse_request(), Outcome::abort;
      if (little(to_client) && !to_client->release(client.out)) co_return refuse_answer(), Outcome::abort;
      continue;
    }
    if (c_.now() - last >= c_.config->idle_ms) co_return Outcome::abort;
    client.rest();
    up.rest();
    co_await c_.wait(last + (waits ? kMostQuiet : c_.config->idle_ms));
  }
}

}  // namespace bottle::guard
