// Requests and answers on an established client stream: one at a time, bodies streamed and scanned in both directions.
#include <openssl/err.h>

#include <algorithm>

#include "guard/connection.h"
#include "guard/request.h"
#include "guard/request_scan.h"

namespace bottle::guard {
namespace {

constexpr size_t kHigh = 128 * 1024;  // unsent bytes at which reading from the other side stops
constexpr int64_t kHeadPatience = 60 * 1000, kHandshakePatience = 30 * 1000;

enum class Outcome { keep, close, abort, retry };

// The parsed head, payload and scanned payload of the step at hand; nothing in them outlives an await.
Head g_head;
std::string g_payload, g_scanned;

class Exchange {
 public:
  Exchange(Connection& c, Request& request, bool reused)
      : c_(c),
        request_(request),
        reused_(reused),
        secrets_(c.tls ? c.config->secrets.of(c.host) : c.config->secrets.of_nobody()),
        scan_(c, secrets_, request),
        up_scan_(scan_.outgoing(Place::body, request.syntax)),
        down_scan_(scan_.incoming()) {}

  Task<Outcome> run(std::string_view head);

 private:
  void send_head(std::string_view head);
  bool send_body();
  void collect();
  bool read_answer();
  bool answer_head();
  bool answer_body();
  void write_head(size_t line_end, bool final);
  bool fail_with(int status, std::string_view code, std::string_view reason);
  bool refuse_request() { return fail_with(403, "secret", scan_.refusal()); }
  bool refuse_answer() { return fail_with(403, "secret_in_answer", scan_.refusal()); }
  Task<Outcome> upgraded();

  Connection& c_;
  Request& request_;
  bool reused_;
  const HostSecrets& secrets_;
  RequestScan scan_;
  scan::Filter up_scan_, down_scan_;
  bool request_done_ = false, head_sent_ = false, answer_done_ = false, chunk_out_ = false, chunk_up_ = false;
  bool client_keep_ = true, upstream_keep_ = true, switched_ = false;
  Body answer_;
  std::optional<std::string> collected_;  // the request's head and body so far, while the length is not known
  size_t collected_head_ = 0;
  std::optional<Outcome> outcome_;  // set: stop
  uint64_t sent_before_ = 0;        // by the client's stream, when the answer began
};

bool Exchange::fail_with(int status, std::string_view code, std::string_view reason) {
  c_.audit(status == 403 ? "deny" : "close", "http", code, reason, request_.method, request_.target);
  c_.upstream.reset();
  bool still_here = !switched_ && c_.client.out_at == 0 && c_.client.sent == sent_before_;
  if (head_sent_ && !still_here) {
    outcome_ = Outcome::abort;  // an answer cut short must not look whole
  } else {
    c_.client.out.clear();  // a head that is still with us is taken back
    c_.answer(status, code, true);
    outcome_ = Outcome::close;
  }
  return false;
}

// A body into which values are put is held back until its length is known, as many services take no chunks. A longer
// one goes in chunks.
constexpr uint64_t kMostCollected = 256 * 1024;

void Exchange::send_head(std::string_view head) {
  const Body& body = request_.body;
  std::string& out = c_.upstream.out;
  out.append(head);
  if (body.kind() == Body::Kind::none) return append_framing(Framing::none, 0, out);
  chunk_up_ = body.kind() == Body::Kind::chunked || (request_.grows && body.left() > kMostCollected);
  if (chunk_up_) return append_framing(Framing::chunked, 0, out);
  if (!request_.grows) return append_framing(Framing::length, body.left(), out);
  collected_ = std::exchange(out, {});
  collected_head_ = collected_->size();
}

// More of the body, g_scanned, is there. Lets head and body go when that is all.
void Exchange::collect() {
  collected_->append(g_scanned);
  if (!request_done_) return;
  std::string body = collected_->substr(collected_head_);
  collected_->resize(collected_head_);
  append_framing(Framing::length, body.size(), *collected_);
  c_.upstream.out.append(*collected_).append(body);
  collected_.reset();
}

// One step of the request's body towards the upstream. True if something moved.
bool Exchange::send_body() {
  Stream &client = c_.client, &up = c_.upstream;
  if (request_done_ || up.unsent() >= kHigh) return false;
  bool progress = false;
  if (!client.in.empty() && !request_.body.done()) {
    g_payload.clear();
    g_scanned.clear();
    size_t before = client.in.size();
    if (!request_.body.read(client.in, g_payload))
      return fail_with(400, "bad_request", "the request's chunked framing is broken");
    progress = client.in.size() != before;
    if (!up_scan_.feed(g_payload, g_scanned)) return refuse_request();
  } else {
    g_scanned.clear();
  }
  if (request_.body.done()) {
    if (!up_scan_.release(g_scanned)) return refuse_request();
    request_done_ = progress = true;
  }
  if (collected_) {
    collect();
  } else if (chunk_up_) {
    append_chunk(up.out, g_scanned);
    if (request_done_) up.out.append("0\r\n\r\n");
  } else {
    up.out.append(g_scanned);
  }
  if (request_done_) return true;
  progress |= client.fill();
  if ((client.eof || client.failed) && client.in.empty()) {
    c_.upstream.reset();
    outcome_ = Outcome::abort;
  }
  return progress;
}

// Writes the client's version of the head at the front of upstream.in (parsed: g_head).
void Exchange::write_head(size_t line_end, bool final) {
  const Head& head = g_head;
  std::string& out = c_.client.out;
  out.append("HTTP/1.1").append(c_.upstream.in, 8, line_end - 8).append("\r\n");
  const Header* connection = head.find("connection");
  for (const auto& each : head.headers) {
    if (hop_by_hop(each.name) || (connection && has_token(connection->value, each.name)) ||
        iequals(each.name, "x-bottle-deny") || iequals(each.name, "x-bottle-error"))
      continue;
    out.append(each.name).append(": ").append(each.value).append("\r\n");
  }
  if (head.status == 101) out.append("Connection: upgrade\r\nUpgrade: websocket\r\n");
  if (final) {
    if (chunk_out_) out.append("Transfer-Encoding: chunked\r\n");
    else if (head.content_length && !head.chunked)
      out.append("Content-Length: ").append(std::to_string(*head.content_length)).append("\r\n");
    if (!client_keep_) out.append("Connection: close\r\n");
    else if (request_.minor == 0) out.append("Connection: keep-alive\r\n");
  }
  out.append("\r\n");
}

bool Exchange::answer_head() {
  Stream& up = c_.upstream;
  if (c_.client.unsent() >= kHigh) return false;  // interim answers without end
  auto parsed = up.in.empty() ? Parse::incomplete : parse_response(up.in, g_head);
  if (parsed == Parse::bad) return fail_with(502, "bad_answer", std::string("the upstream's answer: ") + g_head.why);
  if (parsed == Parse::incomplete) {
    if (up.fill()) return true;
    if (!up.eof && !up.failed) return false;
    // A kept connection that the server closed just then: safe to ask again if nothing was answered and nothing is
    // lost.
    bool idempotent = request_.method == "GET" || request_.method == "HEAD" || request_.method == "OPTIONS";
    if (reused_ && up.in.empty() && idempotent && request_.body.kind() == Body::Kind::none) {
      outcome_ = Outcome::retry;
      return false;
    }
    return fail_with(502, "no_answer", "the upstream closed without an answer");
  }
  if (std::string raw = up.in.substr(0, g_head.size); c_.config->secrets.any_in(raw)) {
    if (!scan_.rewrite_answer(raw)) return refuse_answer();
    up.in.replace(0, g_head.size, raw);
    if (parse_response(up.in, g_head) != Parse::ok)
      return fail_with(403, "secret_in_answer", "a secret where it cannot be starred out");
  }
  const Head& head = g_head;
  size_t line_end = up.in.find("\r\n");
  if (head.status == 101) {
    if (!request_.upgrade || !head.upgrade_websocket)
      return fail_with(502, "bad_answer", "an upgrade nobody asked for");
    switched_ = head_sent_ = true;
    write_head(line_end, false);
    up.in.erase(0, head.size);
    return true;
  }
  if (head.status < 200) {
    bool wanted = request_.minor == 1 && (head.status != 100 || request_.expects_continue);
    if (wanted) write_head(line_end, false);
    up.in.erase(0, head.size);
    return true;
  }
  const Header* encoding = head.find("content-encoding");
  if (encoding && !iequals(encoding->value, "identity") && !secrets_.bound.empty() &&
      c_.config->on_secret == OnSecret::block)
    return fail_with(502, "encoded_answer",
                     "a host with a bound secret answered compressed although told not to: it cannot be scanned");
  answer_ = Body::of_response(head, request_.method);
  upstream_keep_ = (head.minor == 1 ? !head.close : head.keep_alive) && answer_.kind() != Body::Kind::until_close;
  sent_before_ = c_.client.sent;
  bool unknown = answer_.kind() == Body::Kind::chunked || answer_.kind() == Body::Kind::until_close;
  chunk_out_ = answer_.kind() == Body::Kind::chunked && request_.minor == 1;
  client_keep_ = request_.keep && request_done_ && (!unknown || chunk_out_);
  write_head(line_end, true);
  head_sent_ = true;
  up.in.erase(0, head.size);
  return true;
}

bool Exchange::answer_body() {
  Stream &client = c_.client, &up = c_.upstream;
  if (client.unsent() >= kHigh) return false;
  bool progress = false;
  g_scanned.clear();
  if (!up.in.empty() && !answer_.done()) {
    g_payload.clear();
    size_t before = up.in.size();
    if (!answer_.read(up.in, g_payload))
      return fail_with(502, "bad_answer", "the upstream's chunked framing is broken");
    progress = up.in.size() != before;
    if (!down_scan_.feed(g_payload, g_scanned)) return refuse_answer();
  }
  if (!answer_.done() && up.in.empty() && up.eof) answer_.end();
  if (answer_.done()) {
    if (!down_scan_.release(g_scanned)) return refuse_answer();
    answer_done_ = progress = true;
  }
  if (chunk_out_) {
    append_chunk(client.out, g_scanned);
    if (answer_done_) client.out.append("0\r\n\r\n");
  } else {
    client.out.append(g_scanned);
  }
  if (answer_done_) return true;
  progress |= up.fill();
  if (!progress && (up.failed || up.eof))
    return fail_with(502, "cut_short", "the upstream ended in the middle of its answer");
  return progress;
}

Task<Outcome> Exchange::upgraded() {
  Stream &client = c_.client, &up = c_.upstream;
  int64_t last = c_.now();
  int rounds = 0;
  while (true) {
    bool progress = false;
    if (up.unsent() < kHigh) {
      progress |= client.fill();
      up.out.append(client.in);
      client.in.clear();
    }
    if (client.unsent() < kHigh) {
      progress |= up.fill();
      if (!up.in.empty()) {
        g_scanned.clear();
        if (!down_scan_.feed(up.in, g_scanned)) {
          refuse_answer();
          co_return Outcome::abort;
        }
        client.out.append(g_scanned);
        up.in.clear();
      }
      if (up.eof && !down_scan_.release(client.out)) {
        refuse_answer();
        co_return Outcome::abort;
      }
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
    if (c_.now() - last >= c_.config->idle_ms) co_return Outcome::abort;
    client.rest();
    up.rest();
    co_await c_.wait(last + c_.config->idle_ms);
  }
}

Task<Outcome> Exchange::run(std::string_view head) {
  Stream &client = c_.client, &up = c_.upstream;
  send_head(head);
  if (request_.grows && request_.expects_continue) {
    // The server is not asked before the body is here. Its own 100 would be the second.
    client.out.append("HTTP/1.1 100 Continue\r\n\r\n");
    request_.expects_continue = false;
  }
  int64_t last = c_.now();
  int rounds = 0;
  while (true) {
    bool progress = send_body();
    if (outcome_) co_return *outcome_;
    progress |= up.flush();
    if (switched_) co_return co_await upgraded();
    if (!head_sent_) progress |= answer_head();
    if (outcome_) co_return *outcome_;
    if (head_sent_ && !switched_ && !answer_done_) progress |= answer_body();
    if (outcome_) co_return *outcome_;
    progress |= !client.flushed() && client.flush();
    // The client may give up while the server thinks.
    if (request_done_ && client.source->hup && client.in.size() < kHigh) progress |= client.fill();
    if (client.failed) {
      up.reset();
      co_return Outcome::abort;
    }
    if (answer_done_ && client.flushed()) break;
    if (progress) {
      last = c_.now();
      if (++rounds % 16 != 0) continue;
      c_.waker.wake();  // others have their turn
    }
    if (c_.now() - last >= c_.config->idle_ms) {
      up.reset();
      co_return Outcome::abort;
    }
    co_await c_.wait(last + c_.config->idle_ms);
  }
  if (!upstream_keep_ || !request_done_ || up.eof || up.failed || !up.in.empty()) {
    up.end_tls();
    up.reset();
  }
  co_return client_keep_&& request_done_ && !client.eof ? Outcome::keep : Outcome::close;
}

// Connects c.upstream to c.host, with TLS if the client speaks TLS. Nothing to do if it is connected already.
Task<Verdict> connect_upstream(Connection& c) {
  Stream& up = c.upstream;
  Dialed dialed = co_await dial(c.context, *c.config, c.waker, c.host, c.port, c.tls ? Via::tunnel : Via::absolute,
                                c.client.source.get());
  if (!dialed.source) co_return Verdict{.status = dialed.status, .code = dialed.code, .reason = dialed.reason};
  up.reset();
  up.source = std::move(dialed.source);
  c.upstream_host = c.host;
  c.upstream_port = c.port;
  if (!c.tls) co_return Verdict{.allowed = true};
  auto ssl = connect_tls(c.config->upstream_tls(), c.host, c.port);
  if (!ssl) co_return Verdict{.status = 502, .code = "upstream_tls", .reason = ssl.error().what};
  up.ssl = std::move(*ssl);
  attach(up.ssl.get(), up.source.get());
  int64_t deadline = c.now() + kHandshakePatience;
  while (true) {
    ERR_clear_error();
    int result = SSL_do_handshake(up.ssl.get());
    if (result == 1) co_return Verdict{.allowed = true};
    int error = SSL_get_error(up.ssl.get(), result);
    bool waiting = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
    if (!waiting || c.now() >= deadline) {
      std::string why = waiting ? "no TLS handshake in time" : "TLS to the upstream: " + tls_error(up.ssl.get());
      up.reset();
      co_return Verdict{.status = waiting ? 504 : 502, .code = "upstream_tls", .reason = why};
    }
    co_await c.wait(deadline);
  }
}

// Waits for a whole head in client.in, parsed into g_head. `incomplete`: the client left or was idle for too long.
Task<Parse> next_head(Connection& c, bool first) {
  Stream& client = c.client;
  int64_t deadline = c.now() + (first ? kHeadPatience : c.config->idle_ms);
  while (true) {
    Parse parsed = client.in.empty() ? Parse::incomplete : parse_request(client.in, g_head);
    if (parsed != Parse::incomplete) co_return parsed;
    if (client.fill()) continue;
    if (client.eof || client.failed || c.now() >= deadline) co_return Parse::incomplete;
    // An upstream that ends while nothing is asked of it need not be kept.
    if (c.upstream && c.upstream.source->readable) {
      c.upstream.fill();
      if (c.upstream.eof || c.upstream.failed || !c.upstream.in.empty()) c.upstream.reset();
    }
    client.rest();
    c.upstream.rest();
    if (!client.in.empty()) deadline = std::min(deadline, c.now() + kHeadPatience);
    co_await c.wait(deadline);
  }
}

// Nothing of the request has gone upstream.
Task<bool> refuse_unrecorded(Connection& c, std::string_view why) {
  c.audit("close", "http", "unrecorded", why);
  c.answer(503, "unrecorded", true);
  co_return co_await finish(c);
}

}  // namespace

Task<bool> serve_requests(Connection& c) {
  for (bool first = true;; first = false) {
    // A client that has sent its next requests already must not have all turns, nor fill memory with decisions.
    if (!first) co_await c.turn();
    if (!co_await room_in_record(c)) co_return false;
    Parse parsed = co_await next_head(c, first);
    if (parsed == Parse::incomplete) co_return true;
    if (parsed == Parse::bad) {
      c.audit("deny", "http", "bad_request", g_head.why);
      c.answer(400, "bad_request", true);
      co_return co_await finish(c);
    }
    if (auto why = cannot_record(c); !why.empty()) co_return co_await refuse_unrecorded(c, why);
    Request request;
    std::string head;
    Verdict verdict = prepare_request(c, g_head, request, head);
    size_t size = g_head.size;
    if (!verdict.allowed) {
      bool whole = verdict.status == 403 && !g_head.chunked && g_head.content_length.value_or(0) == 0 && request.keep;
      c.audit("deny", "http", verdict.code, verdict.reason, request.method,
              request.target.empty() ? g_head.target : request.target);
      c.client.in.erase(0, size);
      c.answer(verdict.status, verdict.code, !whole);
      if (!whole) co_return co_await finish(c);
      while (!c.client.flushed() && !c.client.failed) {
        if (!c.client.flush()) co_await c.wait(c.now() + kHeadPatience);
      }
      continue;
    }
    c.client.in.erase(0, size);
    c.audit("allow", "http", "allowed", "", request.method, request.target);
    for (int attempt = 0;; ++attempt) {
      bool reused = c.upstream && c.upstream_host.name == c.host.name && c.upstream_port == c.port;
      if (reused) {
        c.upstream.fill();
        reused = !c.upstream.eof && !c.upstream.failed && c.upstream.in.empty();
      }
      if (!reused) {
        c.upstream.reset();
        verdict = co_await connect_upstream(c);
        if (!verdict.allowed) {
          c.audit(verdict.status == 403 ? "deny" : "close", "http", verdict.code, verdict.reason, request.method,
                  request.target);
          c.answer(verdict.status, verdict.code, true);
          co_return co_await finish(c);
        }
      }
      if (!co_await recorded(c)) co_return co_await refuse_unrecorded(c, "the decision could not be recorded");
      Exchange exchange(c, request, reused);
      Outcome outcome = co_await exchange.run(head);
      if (outcome == Outcome::retry && attempt == 0) continue;
      if (outcome == Outcome::keep) break;
      if (outcome == Outcome::close) co_return co_await finish(c);
      c.client.failed = true;  // no close_notify: what was cut short must not look whole
      co_return false;
    }
  }
}

}  // namespace bottle::guard
