#include "guard/upstreams.h"

#include "guard/http2_link.h"
#include "guard/serve.h"

namespace bottle::guard {
namespace {

constexpr size_t kMostIdle = 8;
constexpr int64_t kForADial = 60 * 1000;  // longer than a dial and its handshake may take

}  // namespace

// A connection that speaks HTTP/2.
struct Upstreams::Shared {
  explicit Shared(Loop& loop) : waker(loop) {
    session.on_work = [this] { waker.wake(); };
  }
  Waker waker;
  Stream stream;
  h2::Session session{h2::Role::client, count_of_held()};
  bool used = false, over = false;
};

// Carries a connection until it ends, or until it is shut down and its last stream is done.
Detached Upstreams::carry(Context& context, std::shared_ptr<Shared> shared) {
  Stream& stream = shared->stream;
  int rounds = 0;
  while (!has_ended(shared->session, stream)) {
    if (step(shared->session, stream, context.loop.now())) {
      if (++rounds % 16 == 0) shared->waker.wake();
      else continue;
    }
    if (shared->over && shared->session.streams() == 0) break;
    stream.rest();
    stream.source->watch();
    co_await shared->waker.wait(context.loop.now() + context.config->idle_ms);
  }
  shared->over = true;
  std::string why(stream.why);
  if (!why.empty() && wanted_certificate(stream.ssl.get())) why += kAsksForCertificate;
  // Streams may still use the session, so they are cut off first.
  shared->session.cut(why);
  stream.end_tls();
  stream.reset();  // closes the connection now, although the tunnel may keep `shared` for long
}

// Ends the sharing of connections if the rules have changed: new rules may lead to other addresses, or trust other
// roots.
void Upstreams::adopt_rules(const Connection& c) {
  if (config_ == c.config) return;
  config_ = c.config;
  close();
  closed_ = http1_only_ = false;
}

// Opens a stream for c.upstream.
void Upstreams::use(Shared& shared, Connection& c) {
  c.upstream.source = std::make_unique<Source>();
  open_on(*c.upstream.source, shared.session.open(), &c.waker);
  c.reached.used = std::exchange(shared.used, true);
}

bool Upstreams::take_shared(Connection& c) {
  std::erase_if(shared_, [](const auto& each) { return each->over; });
  for (const auto& each : shared_) {
    if (!each->session.has_room()) continue;
    use(*each, c);
    return true;
  }
  return false;
}

bool Upstreams::take_idle(Connection& c) {
  while (!idle_.empty()) {
    c.upstream.reset();
    c.upstream.source = std::move(idle_.back().source);
    c.upstream.ssl = std::move(idle_.back().ssl);
    idle_.pop_back();
    c.upstream.source->move_to(&c.waker);
    c.upstream.fill();
    c.reached.used = true;
    if (!c.upstream.eof && !c.upstream.failed && c.upstream.in.empty()) return true;
  }
  c.upstream.reset();
  return false;
}

// Makes the new connection c.upstream, which speaks HTTP/2, a shared one, and opens its first stream.
void Upstreams::share(Connection& c) {
  auto shared = std::make_shared<Shared>(context_.loop);
  shared->stream.source = std::move(c.upstream.source);
  shared->stream.ssl = std::move(c.upstream.ssl);
  shared->stream.source->move_to(&shared->waker);
  c.upstream.reset();
  use(*shared, c);  // before the server can say that it accepts no streams
  // If the rules have changed since the dial began, no other request may use the connection.
  if (config_ == c.config && !closed_) shared_.push_back(shared);
  else shared->over = true;
  carry(context_, std::move(shared));
}

Task<Verdict> Upstreams::connect(Connection& c) {
  auto self = shared_from_this();
  c.upstream.reset();
  c.reached.host = c.host;
  c.reached.port = c.port;
  for (int64_t deadline = c.now() + kForADial;;) {
    adopt_rules(c);
    if (take_shared(c) || take_idle(c)) co_return Verdict{.allowed = true};
    if (!dialing_ || http1_only_) break;
    waiting_.insert(&c.waker);
    co_await c.wait(deadline);
    waiting_.erase(&c.waker);
    if (c.client.source->is_gone() || c.now() >= deadline)
      co_return Verdict{
          .status = 504, .code = "connect_timeout", .reason = "the connection to the host could not be made in time"};
  }
  dialing_ = true;
  Verdict verdict = co_await connect_upstream(c, c.config->http2 ? Offer::http1_and_2 : Offer::http1);
  dialing_ = false;
  if (verdict.allowed && speaks_http2(c.upstream.ssl.get())) {
    share(c);
  } else if (verdict.allowed && config_ == c.config) {
    http1_only_ = true;
  }
  for (Waker* each : waiting_) each->wake();
  co_return verdict;
}

void Upstreams::give_back(Connection& c) {
  Stream& up = c.upstream;
  received_ += up.received;
  if (closed_ || c.config != config_ || !up.ssl || up.eof || up.failed || !up.in.empty() || !up.flushed()) return;
  if (idle_.size() >= kMostIdle) return;
  up.source->move_to(nullptr);
  up.rest();
  idle_.push_back({std::move(up.source), std::move(up.ssl)});
  up.reset();
}

void Upstreams::close() {
  closed_ = true;
  idle_.clear();
  for (const auto& each : shared_) {
    each->over = true;
    each->session.shut_down();
    each->waker.wake();
  }
  shared_.clear();
}

}  // namespace bottle::guard
