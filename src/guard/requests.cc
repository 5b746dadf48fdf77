// Serves the requests on an established client stream, one at a time.
//
// The guarantee lies in the order of the steps: the head is parsed, the current rules are adopted, the request is
// judged and counted, the decision is in the record and with the kernel, and only then does a byte of the request go
// upstream. Connecting may come before the record is written, because it tells the host nothing about the request.
//
// A connection to the host is kept for the next request. It may have died in the meantime, which shows only when it is
// used; Exchange decides whether such a request may be made once more.
#include <openssl/err.h>
#include <openssl/sslerr.h>

#include <algorithm>

#include "guard/exchange/exchange.h"
#include "guard/serve.h"
#include "guard/upstreams.h"

namespace bottle::guard {
namespace {

// Returns the reason why a handshake or connection failed, and what would help.
std::string handshake_error(const SSL* ssl) {
  std::string why = "the TLS handshake with the server failed: " + tls_error(ssl);
  return wanted_certificate(ssl) ? why.append(kAsksForCertificate) : why;
}

// Returns whether the server accepts only HTTP/2. It answers the offer of HTTP/1.1 with this alert (RFC 7301 §3.2).
bool refused_protocol() { return ERR_GET_REASON(ERR_peek_error()) == SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL; }

}  // namespace

Task<Connected> connect_upstream(Connection& c, Offer offer) {
  Stream& up = c.upstream;
  up.reset();
  auto dialed = co_await dial(c.context, *c.config, c.waker, c.host, c.port, c.tls ? Via::tunnel : Via::absolute,
                              c.client.source.get());
  if (!dialed) co_return Connected{std::move(dialed.error())};
  up.reset();
  up.source = std::move(dialed->source);
  c.reached.host = c.host;
  c.reached.port = c.port;
  c.reached.used = false;
  if (!c.tls) co_return Connected{};
  auto ssl = connect_tls(c.config->upstream_tls(), c.host, c.port, offer);
  if (!ssl && ssl.error().code == Code::limit) co_return Connected{ClientError{503, kTooMany, ssl.error().what}};
  if (!ssl) co_return Connected{ClientError{502, "upstream_tls", ssl.error().what}};
  up.ssl = std::move(*ssl);
  attach(up.ssl.get(), up.source.get());
  up.rest();  // counts what the handshake needs
  int64_t deadline = c.now() + kHandshakePatience;
  while (true) {
    ERR_clear_error();
    // The request follows the last message of the handshake. Only the first message must not wait for more.
    up.source->more_follows = SSL_get_state(up.ssl.get()) != TLS_ST_BEFORE;
    int result = SSL_do_handshake(up.ssl.get());
    bool may_wait = std::exchange(up.source->more_follows, false);
    if (result == 1) co_return Connected{};
    if (may_wait) up.source->push();  // it was not the last one
    int error = SSL_get_error(up.ssl.get(), result);
    bool waiting = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
    if (!waiting || c.now() >= deadline) {
      bool needs_http2 = !waiting && offer == Offer::http1 && c.config->http2 && refused_protocol();
      std::string why = waiting ? "the server did not finish the TLS handshake in time" : handshake_error(up.ssl.get());
      up.reset();
      co_return Connected{ClientError{waiting ? 504 : 502, "upstream_tls", why}, needs_http2};
    }
    co_await c.wait(deadline);
  }
}

namespace {

// Connects c.upstream for a request with this method.
Task<std::optional<ClientError>> reach_upstream(Connection& c, std::string_view method) {
  if (!c.upstreams) {
    Connected connected = co_await connect_upstream(c, Offer::http1);
    if (!connected.needs_http2) co_return std::move(connected.error);
    c.upstreams = std::make_shared<Upstreams>(c.context);
  }
  co_return co_await c.upstreams->connect(c, may_repeat(method) ? Kept::usable : Kept::unusable);
}

// Waits for a whole head in client.in, and parses it into g_head. Returns `incomplete` if the client left or was idle
// for too long.
Task<Parse> next_head(Connection& c, bool first) {
  Stream& client = c.client;
  // A kept connection may be idle for long, but once a head has begun, it must be whole within a minute.
  int64_t deadline = c.now() + (first ? kHeadPatience : c.config->idle_ms);
  http::ArrivingHead arriving;
  auto parse = [&] { return client.in.empty() ? Parse::incomplete : http::parse_request(client.in, g_head); };
  while (true) {
    Parse parsed = arriving.read(client.in, parse);
    if (parsed != Parse::incomplete) co_return parsed;
    if (client.fill()) continue;
    if (client.eof || client.failed || c.now() >= deadline) co_return Parse::incomplete;
    // An upstream that sends something or ends without a request is useless for the next request.
    if (c.upstream && c.upstream.source->may_read()) {
      c.upstream.fill();
      if (c.upstream.eof || c.upstream.failed || !c.upstream.in.empty()) c.upstream.reset();
    }
    client.rest();
    c.upstream.rest();
    if (!client.in.empty()) deadline = std::min(deadline, c.now() + kHeadPatience);
    co_await c.wait(deadline);
  }
}

// Sends the answer, and reads the rest of a request that was refused or answered early. Many clients read an answer
// only after they have sent their whole body, and a reset would discard it. Then ends the client's stream.
Task<void> finish_request(Connection& c, http::Body& body) {
  constexpr int64_t kQuiet = 5 * 1000, kLinger = 120 * 1000;
  Stream& client = c.client;
  int64_t last = c.now(), end = c.now() + kLinger;
  int rounds = 0;
  while (!client.failed) {
    bool progress = !client.flushed() && client.flush();
    g_payload.clear();
    if (!body.read(client.in, g_payload) || (body.done() && client.flushed())) break;
    if (!body.done()) progress |= client.fill();
    if (client.eof && client.in.empty() && client.flushed()) break;
    if (progress) {
      last = c.now();
      if (++rounds % 16 == 0) co_await c.turn();
    } else if (c.now() >= std::min(end, last + kQuiet)) {
      break;
    } else {
      co_await c.wait(std::min(end, last + kQuiet));
    }
  }
  co_await finish(c);
}

// Refuses a request that cannot be recorded. None of it has gone upstream.
Task<void> refuse_unrecorded(Connection& c, http::Body& body, std::string_view why) {
  ClientError error{503, "unrecorded", std::string(why)};
  c.audit(Kind::http, error);
  c.answer(error.status, error.code, After::close);
  co_await finish_request(c, body);
}

// Answers a request that is not allowed. Returns true if the client may send another.
Task<bool> answer_refused(Connection& c, const Refused& refused, const Request& request, std::string target,
                          http::Body body) {
  // The next byte begins another request only if all of this one has arrived.
  bool whole = refused.status == 403 && body.done() && request.client.keep;
  AuditLine line = request.line(refused);
  line.path = target;
  c.audit(line);
  c.answer(refused.status, refused.code, whole ? After::keep : After::close);
  if (!whole) {
    co_await finish_request(c, body);
    co_return false;
  }
  // A client that sends requests but reads no answers is disconnected.
  int64_t deadline = c.now() + std::min(kHeadPatience, c.config->idle_ms);
  while (!c.client.flushed() && !c.client.failed && c.now() < deadline)
    if (!c.client.flush()) co_await c.wait(deadline);
  co_return c.client.flushed();
}

// Returns whether c.upstream is still connected to the request's destination, as far as the guard can see.
bool upstream_is_kept(Connection& c) {
  if (!c.upstream || c.reached.host.name != c.host.name || c.reached.port != c.port) return false;
  c.upstream.fill();
  return !c.upstream.eof && !c.upstream.failed && c.upstream.in.empty();
}

// Makes an allowed request. Returns true if the client may send another.
Task<bool> make_request(Connection& c, Request& request, std::string_view head) {
  Exchange exchange(c, request, head);
  while (true) {
    bool kept = upstream_is_kept(c) && c.reached.used;
    if (!kept && !upstream_is_kept(c)) {
      c.client.beside = head.size();  // with HTTP/2, few bytes from a client can become large heads
      c.client.rest();
      if (auto error = co_await reach_upstream(c, request.method)) {
        c.audit(request.line(*error));
        c.answer(error->status, error->code, After::close);
        co_await finish_request(c, request.body);
        co_return false;
      }
      kept = c.reached.used;
    }
    if (!co_await recorded(c)) {
      co_await refuse_unrecorded(c, request.body, "the decision could not be recorded");
      co_return false;
    }
    c.reached.used = true;
    // A server may answer early and stop reading the body, so writing may fail.
    c.upstream.writing = Stream::Writing::optional;
    switch (co_await exchange.run(kept)) {
      case Outcome::retry:
        c.upstream.reset();
        break;
      case Outcome::keep:
        co_return true;
      case Outcome::close:
        co_await finish_request(c, request.body);
        co_return false;
      case Outcome::hang_up:
        co_return false;
      case Outcome::abort:
        // A truncated answer must not look complete. Without close_notify, it does so to some programs.
        c.client.failed = true;
        if (exchange.looks_whole()) c.client.source->reset_on_close();
        co_return false;
    }
  }
}

}  // namespace

Task<Ended> serve_requests(Connection& c) {
  for (bool first = true;; first = false) {
    // A client that has already sent its next requests must not use up all turns, nor fill the memory with audit lines.
    if (!first) co_await c.turn();
    if (!co_await room_in_record(c)) co_return Ended::between_requests;
    // A request that names no valid host must not be recorded under the host of the one before it.
    if (!c.tunneled) c.host = {}, c.port = 0;
    Parse parsed = co_await next_head(c, first);
    if (parsed == Parse::incomplete) co_return Ended::between_requests;
    if (parsed == Parse::bad) {
      co_await refuse(c, Kind::http, {400, "bad_request", g_head.why});
      co_return Ended::between_requests;
    }
    c.refresh();
    http::Body body = http::Body::of_request(g_head);
    if (auto why = cannot_record(c); !why.empty()) {
      c.client.in.erase(0, g_head.size);
      co_await refuse_unrecorded(c, body, why);
      co_return Ended::between_requests;
    }
    Request request;
    std::string head;
    auto refused = prepare_request(c, g_head, request, head);
    std::string target = request.target.empty() ? std::string(g_head.target) : request.target;
    c.client.in.erase(0, g_head.size);
    if (refused) {
      if (!co_await answer_refused(c, *refused, request, std::move(target), std::move(body)))
        co_return Ended::between_requests;
      continue;
    }
    // The line is written before the request is sent, and make_request() waits until the kernel has it.
    c.audit(request.line(Action::allow, "allowed", request.removed));
    if (!co_await make_request(c, request, head)) co_return Ended::within_a_request;
  }
}

}  // namespace bottle::guard
