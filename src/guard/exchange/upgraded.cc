// Passes what both sides send after a 101.
//
// request.cc has decided whether other protocols may pass. Both directions run in one coroutine, and stop reading
// when too many bytes wait for the other side. Either side may end its half of an opaque protocol first. WebSocket
// ends with its close frames, after which neither side needs the connection.
//
// Nothing can be answered any more, so a connection that must end is cut off. Bytes from before the reason are sent
// first, as far as the sockets take them.
#include "guard/exchange/upgraded.h"

namespace bottle::guard {
namespace {

// Tells one side that the other sends no more. That side may continue to send, as in any protocol but WebSocket.
void end_half(Stream& to) {
  to.end_tls();
  to.source->shut();
}

bool is_behind(const std::optional<MessageScan>& messages) { return messages && messages->is_behind(); }

// Waits for the record, because each message with usage is a line of it, and a server may send many. Returns false if
// nothing can be recorded.
Task<bool> may_go_on(Connection& c) { co_return co_await room_in_record(c) && !c.context.audit.congested(); }

}  // namespace

// Sends the bytes from before the reason for the end to both destinations.
void Upgraded::flush_both() {
  c_.upstream.flush();
  c_.client.flush();
}

// Counts what the scans of messages hold. The streams add it to their own when they write or rest.
void Upgraded::count_memory(const MessageScan* to_server, const MessageScan* to_client) {
  c_.client.beside = to_server ? to_server->memory() : 0;
  c_.upstream.beside = (to_client ? to_client->memory() : 0) + search_.memory();
}

// Passes to the server what the client has sent, and counts it.
Step Upgraded::pass_up(MessageScan* messages) {
  Stream &client = c_.client, &up = c_.upstream;
  size_t queued = up.out.size();
  bool fine = true;
  if (messages) {
    fine = messages->pass(client.in, up.out);
  } else {
    up.out.append(client.in);
    client.in.clear();
  }
  if (core_.count_up(up.out.size() - queued) == Step::over) return Step::over;
  if (fine) return Step::idle;
  flush_both();
  return messages->broken() ? core_.fail_with({400, "bad_request", messages->broken()}) : core_.refuse_request();
}

// Passes to the client what the server has sent.
Step Upgraded::pass_down(MessageScan* messages) {
  Stream &client = c_.client, &up = c_.upstream;
  if (!messages) {
    client.out.append(up.in);
    up.in.clear();
    return Step::idle;
  }
  if (messages->pass(up.in, client.out)) return Step::idle;
  flush_both();
  if (!search_.is_stopped() && messages->broken()) return core_.fail_with({502, "bad_answer", messages->broken()});
  return refuse_answer();
}

// Releases messages to the server that have been held back for long enough. `came` says whether the client has sent
// something in this round.
Step Upgraded::release_up(MessageScan* messages, bool came) {
  std::string& out = c_.upstream.out;
  if (!messages || !held_up_.due({.holds = messages->holds(), .moved = !out.empty(), .came = came}, c_.now()))
    return Step::idle;
  held_up_.released();
  size_t queued = out.size();
  if (!messages->release(out)) return core_.refuse_request();
  return core_.count_up(out.size() - queued) | Step::moved;
}

// Does the same for messages to the client.
Step Upgraded::release_down(MessageScan* messages, bool came) {
  std::string& out = c_.client.out;
  if (!messages || !held_down_.due({.holds = messages->holds(), .moved = !out.empty(), .came = came}, c_.now()))
    return Step::idle;
  held_down_.released();
  return messages->release(out) ? Step::moved : refuse_answer();
}

MessageRules Upgraded::rules_to_server() {
  return {.filter = [this] { return core_.values.outgoing(RequestPart::message, Syntax::text); },
          .stream = [this] { return core_.findings.stream(RequestPart::message, Syntax::text); },
          .pieces =
              [this](const scan::Stream& stream, FindingScan::Moment moment, size_t& checked) {
                return core_.findings.check_pieces(RequestPart::message, stream, moment, checked);
              },
          .stopped = [this](const scan::Stream& stream) { core_.findings.stopped(stream); },
          .passed = [this](const scan::Stream& stream) { core_.findings.passed(stream); }};
}

MessageRules Upgraded::rules_to_client() {
  return {.filter = [this] { return core_.values.incoming(); },
          .watch = [this](std::string_view text, bool whole) { return search_.feed_message(text, whole); }};
}

// Each round reads from both sides, passes on what may pass, and releases bytes that were held back for long enough.
// A side is read only while the other one takes the bytes, so that a slow reader slows the writer down, and only after
// all frames that came before have passed.
Step Upgraded::round(std::optional<MessageScan>& scan_up, std::optional<MessageScan>& scan_down) {
  MessageScan *to_server = scan_up ? &*scan_up : nullptr, *to_client = scan_down ? &*scan_down : nullptr;
  Stream &client = c_.client, &up = c_.upstream;
  bool came_up = false, came_down = false;
  if (up.unsent() < kHigh) {
    came_up = is_behind(scan_up) || client.fill();
    if (pass_up(to_server) == Step::over) return Step::over;
  }
  if (client.unsent() < kHigh) {
    came_down = is_behind(scan_down) || up.fill();
    if (pass_down(to_client) == Step::over) return Step::over;
  }
  Step progress = moved_if(came_up || came_down);
  if ((progress |= release_up(to_server, came_up)) == Step::over) return progress;
  if ((progress |= release_down(to_client, came_down)) == Step::over) return progress;
  count_memory(to_server, to_client);
  progress |= moved_if(up.flush());
  progress |= moved_if(client.flush());
  if (client.failed || up.failed) return core_.end(Outcome::abort);
  bool ends =
      (client.eof && up.flushed() && !is_behind(scan_up)) || (up.eof && client.flushed() && !is_behind(scan_down));
  // WebSocket has no half-closed connections (RFC 6455, section 7.1.1), but other protocols may have.
  if (ends && (to_server || (client.eof && up.eof))) return core_.end(Outcome::abort);
  if (ends && !half_closed_) {
    half_closed_ = true;
    end_half(client.eof ? up : client);
  }
  return progress;
}

// Sleeps only if nothing has moved; if something always moves, lets the other connections have their turn. After the
// rules have changed, the next round ends a connection that they no longer allow.
Task<Outcome> Upgraded::run() {
  std::optional<MessageScan> to_server, to_client;
  if (request_.upgrade.framed) {
    to_server.emplace(WebSocketSender::client, rules_to_server());
    to_client.emplace(WebSocketSender::server, rules_to_client());
    search_.begin_messages();
  }
  c_.upstream.writing = Stream::Writing::required;
  int64_t last = c_.now();
  for (int rounds = 0; true;) {
    if (core_.check_current_rules() == Step::over) co_return Outcome::abort;
    if (c_.context.audit.congested() && !co_await may_go_on(c_)) co_return Outcome::abort;
    Step progress = round(to_server, to_client);
    if (progress == Step::over) co_return Outcome::abort;
    if (progress == Step::moved) {
      last = c_.now();
      if (++rounds % 16 == 0 || is_behind(to_server) || is_behind(to_client)) co_await c_.turn();
      continue;
    }
    if (c_.now() - last >= c_.config->idle_ms) co_return Outcome::abort;
    if (to_server) to_server->rest();
    if (to_client) to_client->rest();
    count_memory(to_server ? &*to_server : nullptr, to_client ? &*to_client : nullptr);
    c_.client.rest();
    c_.upstream.rest();
    co_await c_.wait(held_up_.until(held_down_.until(last + c_.config->idle_ms)));
  }
}

}  // namespace bottle::guard
