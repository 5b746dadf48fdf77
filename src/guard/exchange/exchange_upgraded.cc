// Serves a connection after its 101. It scans WebSocket messages, and passes the bytes of other protocols.
//
// request.cc has decided whether other protocols may pass. Both directions run in one coroutine, and stop reading
// when too many bytes wait for the other side. Either side may end its half of an opaque protocol first. WebSocket
// ends with its close frames, after which neither side needs the connection.
//
// Nothing can be answered any more, so a connection that must end is cut off. Bytes from before the reason are sent
// first, as far as the sockets take them.
#include "guard/exchange/exchange.h"

namespace bottle::guard {
namespace {

// Tells one side that the other sends no more. That side may continue to send, as in any protocol but WebSocket.
void end_half(Stream& to) {
  to.end_tls();
  to.source->shut();
}

// Waits for the record, because each message with usage is a line of it, and a server may send many. Returns false if
// nothing can be recorded.
Task<bool> may_go_on(Connection& c) { co_return co_await room_in_record(c) && !c.context.audit.congested(); }

}  // namespace

// Sends the bytes from before the reason for the end to both destinations.
void Exchange::flush_both() {
  c_.upstream.flush();
  c_.client.flush();
}

// Passes to the server what the client has sent, and counts it. Returns false if the connection must end.
bool Exchange::pass_up(MessageScan* messages) {
  Stream &client = c_.client, &up = c_.upstream;
  size_t queued = up.out.size();
  bool fine = true;
  if (messages) {
    fine = messages->pass(client.in, up.out);
  } else {
    up.out.append(client.in);
    client.in.clear();
  }
  if (!count_up(up.out.size() - queued)) return false;
  if (fine) return true;
  flush_both();
  return messages->broken() ? fail_with(400, "bad_request", messages->broken()) : refuse_request();
}

// Passes to the client what the server has sent. Returns false if the connection must end.
bool Exchange::pass_down(MessageScan* messages) {
  Stream &client = c_.client, &up = c_.upstream;
  if (!messages) {
    client.out.append(up.in);
    up.in.clear();
    return true;
  }
  if (messages->pass(up.in, client.out)) return true;
  flush_both();
  if (stop_) return stop_answer();
  return messages->broken() ? fail_with(502, "bad_answer", messages->broken()) : refuse_answer();
}

// Searches what the server sends for prompt injections. Returns false if the connection must end.
bool Exchange::watch_message(std::string_view text, bool whole) {
  if (c_.config->limits.reads_usage(c_.host)) {
    if (!usage_) usage_.emplace();
    usage_->feed(text);
    if (whole) count_tokens();
  }
  if (!watch_) return true;
  if (!watch_answer(text)) return false;
  if (!whole) return true;
  watch_->settle();
  // A line end keeps the first word of the next message from continuing the last word of this one.
  return watch_answer("\n") && record_injections();
}

// Releases bytes that have been held back for long enough. `came` says whether the sender has sent something in this
// round. Returns false if the bytes are refused.
bool Exchange::release_messages(MessageScan& messages, std::string& out, HeldBack& held, bool came, bool& progress) {
  bool moved = !out.empty();
  if (!held.due(messages.holds(), moved, c_.now(), came)) return true;
  held.released();
  progress = true;
  return messages.release(out);
}

// Counts what the scans of messages hold. The streams add it to their own when they write or rest.
void Exchange::count_messages(const std::optional<MessageScan>& to_server,
                              const std::optional<MessageScan>& to_client) {
  c_.client.beside = to_server ? to_server->memory() : 0;
  c_.upstream.beside =
      (to_client ? to_client->memory() : 0) + (watch_ ? watch_->memory() : 0) + (usage_ ? usage_->memory() : 0);
}

// Frees buffers, because nothing moves.
void Exchange::rest_messages(std::optional<MessageScan>& to_server, std::optional<MessageScan>& to_client) {
  if (to_server) to_server->rest();
  if (to_client) to_client->rest();
  count_messages(to_server, to_client);
  c_.client.rest();
  c_.upstream.rest();
}

// Each round reads from both sides, passes on what may pass, and releases bytes that were held back for long enough.
// A side is read only while the other one takes the bytes, so that a slow reader slows the writer down. The loop
// sleeps only if nothing has moved; if something always moves, it lets the other connections have their turn. After
// the rules have changed, the next round ends a connection that they no longer allow. WebSocket has no half-closed
// connections (RFC 6455, section 7.1.1), but other protocols may have.
Task<Outcome> Exchange::upgraded() {
  Stream &client = c_.client, &up = c_.upstream;
  std::optional<MessageScan> to_server, to_client;
  if (request_.upgrade.framed) {
    to_server.emplace(
        WebSocketSender::client,
        MessageRules{.filter = [this] { return scan_.outgoing(Place::message, Syntax::text); },
                     .stream = [this] { return scan_.stream(Place::message, Syntax::text); },
                     .piece = [this](std::string_view text) { return scan_.check_pieces(Place::message, text); },
                     .last_run = [this](std::string_view text) { return scan_.check_last_run(Place::message, text); },
                     .stopped = [this](const scan::Stream& stream) { scan_.stopped(stream); },
                     .passed = [this](const scan::Stream& stream) { scan_.passed(stream); }});
    watch_.emplace(c_.config->on_injection.blocks(c_.host));
    if (secrets_.model) watch_.reset();
    to_client.emplace(
        WebSocketSender::server,
        MessageRules{.filter = [this] { return scan_.incoming(); },
                     .watch = [this](std::string_view text, bool whole) { return watch_message(text, whole); }});
  }
  up.writing = Stream::Writing::required;
  bool half_closed = false;
  int64_t last = c_.now();
  for (int rounds = 0; true;) {
    if (withdrawn()) co_return Outcome::abort;
    if (c_.context.audit.congested() && !co_await may_go_on(c_)) co_return Outcome::abort;
    bool came_up = false, came_down = false;
    if (up.unsent() < kHigh) {
      came_up = client.fill();
      if (!pass_up(to_server ? &*to_server : nullptr)) co_return Outcome::abort;
    }
    if (client.unsent() < kHigh) {
      came_down = up.fill();
      if (!pass_down(to_client ? &*to_client : nullptr)) co_return Outcome::abort;
    }
    bool progress = came_up || came_down;
    size_t queued = up.out.size();
    if (to_server && !release_messages(*to_server, up.out, held_up_, came_up, progress))
      co_return refuse_request(), Outcome::abort;
    if (!count_up(up.out.size() - queued)) co_return Outcome::abort;
    if (to_client && !release_messages(*to_client, client.out, held_down_, came_down, progress))
      co_return stop_ ? stop_answer() : refuse_answer(), Outcome::abort;
    count_messages(to_server, to_client);
    progress |= up.flush();
    progress |= client.flush();
    if (client.failed || up.failed) co_return Outcome::abort;
    bool ends = (client.eof && up.flushed()) || (up.eof && client.flushed());
    if (ends && (to_server || (client.eof && up.eof))) co_return Outcome::abort;
    if (ends && !half_closed) {
      half_closed = true;
      if (client.eof) end_half(up);
      else end_half(client);
    }
    if (progress) {
      last = c_.now();
      if (++rounds % 16 == 0) co_await c_.turn();
      continue;
    }
    if (c_.now() - last >= c_.config->idle_ms) co_return Outcome::abort;
    rest_messages(to_server, to_client);
    co_await c_.wait(held_up_.until(held_down_.until(last + c_.config->idle_ms)));
  }
}

}  // namespace bottle::guard
