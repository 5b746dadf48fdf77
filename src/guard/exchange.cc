// Requests on an established client stream, one at a time.
#include "guard/exchange.h"

#include <openssl/err.h>

#include <algorithm>

namespace bottle::guard {
namespace {

constexpr int64_t kHeadPatience = 60 * 1000, kHandshakePatience = 30 * 1000;

}  // namespace

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

// True: rules that have come meanwhile forbid what is under way, and it is broken off.
bool Exchange::withdrawn() {
  if (judged_ == c_.context.config) return false;
  judged_ = c_.context.config;
  if (judged_->rules.request(c_.host, c_.port, request_.method, request_.target).allowed) return false;
  fail_with(403, "not_allowed", "the rules have changed");
  return true;
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

void Exchange::count_memory() {
  // Each is counted when more of it is read.
  c_.client.beside = collected_ ? collected_->capacity() : 0;
  c_.upstream.beside = coded_.capacity() + waiting_.capacity() + (decoder_ ? decoder_->memory() : 0);
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
  count_memory();
  if (request_done_) return true;
  progress |= client.fill();
  if ((client.eof || client.failed) && client.in.empty()) {
    c_.upstream.reset();
    outcome_ = Outcome::abort;
  }
  return progress;
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
    if (withdrawn()) co_return *outcome_;
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
    bool waits = head_sent_ && !answer_done_ && down_scan_.holds_little();
    if (waits && c_.now() - last >= kMostQuiet) {
      if (!release_little()) co_return *outcome_;
      continue;
    }
    co_await c_.wait(last + (waits ? kMostQuiet : c_.config->idle_ms));
  }
  if (!upstream_keep_ || !request_done_ || up.eof || up.failed || !up.in.empty()) {
    up.end_tls();
    up.reset();
  }
  co_return client_keep_&& request_done_ && !client.eof ? Outcome::keep : Outcome::close;
}

namespace {

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
    c.refresh();
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
    c.audit("allow", "http", "allowed", request.removed, request.method, request.target);
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
