// Serves a client that speaks HTTP/2. It serves each stream like an HTTP/1.1 connection with one request, so that
// requests are judged in a single place.
//
// The session is a coroutine. Each of its streams is another coroutine with its own Connection, and may still run
// when the session has ended. The streams therefore hold the session's parts through shared pointers, and the session
// is cut before it goes out of scope. This file records malformed messages, because no Connection ever sees them.
#include "guard/http2_link.h"
#include "guard/serve.h"
#include "guard/upstreams.h"

namespace bottle::guard {
namespace {

constexpr int64_t kFirstPatience = 60 * 1000;

// Serves one request. The coroutine frees itself.
Detached serve_stream(Context& context, std::shared_ptr<h2::Stream> stream, policy::Host host, uint16_t port,
                      std::shared_ptr<Upstreams> upstreams) {
  Connection c(context, std::make_unique<Source>());
  open_on(*c.client.source, std::move(stream), &c.waker);
  c.host = std::move(host);
  c.port = port;
  c.tunneled = c.tls = true;
  c.upstreams = std::move(upstreams);
  if (auto fault = c.client.source->fault(); !fault.empty())
    co_return co_await refuse(c, Kind::http, {431, "bad_request", std::string(fault)});
  if (co_await serve_requests(c) == Ended::between_requests) c.upstreams->give_back(c);
  c.upstream.end_tls();
}

// Serves the client until the session ends or is idle for too long.
Task<void> serve_session(Connection& c, h2::Session& session, const std::shared_ptr<Upstreams>& upstreams) {
  int64_t last = c.now();
  uint64_t malformed = 0, served = 0;
  int rounds = 0;
  while (!has_ended(session, c.client)) {
    bool progress = step(session, c.client, c.now());
    while (auto stream = session.accept()) {
      progress = true;
      ++served;
      serve_stream(c.context, std::move(stream), c.host, c.port, upstreams);
    }
    if (session.malformed() != malformed) {
      for (; malformed < session.malformed(); ++malformed)
        c.audit({.action = Action::deny,
                 .kind = Kind::http,
                 .code = "bad_request",
                 .reason = "HTTP/2: " + session.fault()});
    }
    if (progress) {
      last = c.now();
      if (++rounds % 16 != 0) continue;
      c.waker.wake();  // lets other coroutines run
    }
    if (session.served() > 0) last = c.now();  // the requests have their own timeouts
    // A client that sends no request in its first minute is disconnected.
    int64_t patience = served ? c.config->idle_ms : kFirstPatience;
    if (c.now() - last >= patience) break;
    c.client.rest();
    co_await c.wait(last + patience);
  }
}

}  // namespace

Task<void> serve_http2(Connection& c) {
  auto upstreams = std::make_shared<Upstreams>(c.context);
  h2::Session session(h2::Role::server, count_of_held());
  session.on_work = [&c] { c.waker.wake(); };
  co_await serve_session(c, session, upstreams);
  // The coroutines of streams may still change the session, but this one no longer waits.
  session.on_work = nullptr;
  session.shut_down();
  session.transmit(c.client.out, 64 * 1024);
  c.client.flush();  // this tells an idle client that its next request would not be served
  session.cut();
  upstreams->close();
  c.upstream.received += upstreams->received();
  if (session.why().empty()) co_return;
  c.audit({.action = Action::close, .kind = Kind::http, .code = "bad_http2", .reason = session.why()});
  co_await finish(c);
}

}  // namespace bottle::guard
