// Gives each request either a stream of an HTTP/2 connection or an HTTP/1.1 connection that no other request uses.
// Only a handshake shows which of the two the server speaks, so requests that come at the same time wait for the
// first dial. If the server speaks HTTP/2, they then wait for its settings, because a server that gets more streams
// than it accepts refuses them and may end the connection. If it speaks HTTP/1.1, each request dials for itself from
// then on.
//
// A connection outlives the requests on it and may end while some of them run. It therefore belongs to a coroutine
// (carry), which keeps it alive through a shared pointer. The pointer back to the owner is weak, because the tunnel may
// end first.
//
// Why the guard translates between the versions is in docs/decisions/013-http2.md.
#include "guard/upstreams.h"

#include <algorithm>

#include "guard/http2_link.h"
#include "guard/serve.h"

namespace bottle::guard {
namespace {

constexpr size_t kMostIdle = 8;
constexpr int64_t kForSettings = 2000;    // milliseconds; a server sends them first
constexpr int64_t kForADial = 60 * 1000;  // longer than a dial and its handshake may take
// If streams hold this much, a connection to a server without a request is closed after a second, because it takes as
// much memory as a client. Connections without a request check this every few seconds.
constexpr size_t kCrowded = kEnoughHeld / 2;
constexpr int64_t kIdleInACrowd = 1000, kLook = 2000;  // milliseconds

bool is_superfluous(int64_t idle) { return idle >= kIdleInACrowd && held_by_streams() > kCrowded; }

}  // namespace

// Holds a connection that speaks HTTP/2.
struct Upstreams::Shared {
  // `c` is a connection to the same host. It is not kept.
  Shared(const Connection& c, std::weak_ptr<Upstreams> owner)
      : waker(c.context.loop),
        owner(std::move(owner)),
        host(c.config->recordable(c.host.name)),
        port(c.port),
        made_at(c.now()) {
    session.on_work = [this] { waker.wake(); };
  }
  // Returns whether the server may soon say how many streams it accepts.
  bool is_settling(int64_t now) const { return !over && !session.settled() && now - made_at < kForSettings; }
  Waker waker;
  std::weak_ptr<Upstreams> owner;
  std::string host;  // for the audit
  uint16_t port;
  int64_t made_at;
  Stream stream;
  h2::Session session{h2::Role::client, count_of_held()};
  bool used = false, over = false;
};

// Records that the guard has ended a connection because of what the server sent.
void Upstreams::record_fault(Context& context, const Shared& shared) {
  std::string id = context.new_id();
  std::string reason = "from the server: " + context.config->recordable(shared.session.why());
  context.audit.write({.id = id,
                       .action = Action::close,
                       .kind = Kind::http,
                       .host = shared.host,
                       .port = shared.port,
                       .code = "bad_http2",
                       .reason = reason});
}

// Carries a connection until it ends, or until it is shut down and its last stream is done.
Detached Upstreams::carry(Context& context, std::shared_ptr<Shared> shared) {
  Stream& stream = shared->stream;
  int rounds = 0;
  int64_t last = context.loop.now();  // when it last carried a request
  // Requests that wait for the settings must be woken once.
  bool told = false;
  while (!has_ended(shared->session, stream)) {
    if (!told && shared->session.settled()) {
      told = true;
      if (auto owner = shared->owner.lock()) owner->wake_waiting();
    }
    if (shared->session.streams() > 0) last = context.loop.now();
    if (step(shared->session, stream, context.loop.now())) {
      // After 16 rounds, the others have their turn.
      if (++rounds % 16 == 0) shared->waker.wake();
      else continue;
    }
    bool idle = shared->session.streams() == 0;
    if (idle && (shared->over || is_superfluous(context.loop.now() - last))) break;
    stream.rest();
    stream.source->watch();
    co_await shared->waker.wait(context.loop.now() + (idle ? kLook : context.config->idle_ms));
  }
  shared->over = true;
  std::string why(stream.why);
  if (!why.empty() && wanted_certificate(stream.ssl.get())) why += kAsksForCertificate;
  if (!shared->session.why().empty()) record_fault(context, *shared);
  // Streams may still use the session, so they are cut off first.
  shared->session.cut(why);
  stream.end_tls();
  stream.reset();
  if (auto owner = shared->owner.lock()) owner->drop_ended();
}

// Stops sharing the connections if the rules have changed, because new rules may lead to other addresses or trust
// other roots.
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

// Gives the request a stream of a connection that has room for one.
bool Upstreams::take_shared(Connection& c) {
  for (const auto& each : shared_) {
    if (each->over || !each->session.has_room()) continue;
    use(*each, c);
    return true;
  }
  return false;
}

// Gives the request a kept connection of HTTP/1.1 that still looks alive.
bool Upstreams::take_idle(Connection& c) {
  while (!idle_.empty()) {
    c.upstream.reset();
    c.upstream.source = std::move(idle_.back().source);
    c.upstream.ssl = std::move(idle_.back().ssl);
    idle_.pop_back();
    c.upstream.source->move_to(&c.waker);
    // The server may have closed the connection while it was idle. A kept connection with unread bytes is useless as
    // well, because they answer no request.
    c.upstream.fill();
    c.reached.used = true;
    if (!c.upstream.eof && !c.upstream.failed && c.upstream.in.empty()) return true;
  }
  c.upstream.reset();
  return false;
}

// Shares the new connection c.upstream, which speaks HTTP/2, and opens its first stream.
void Upstreams::share(Connection& c) {
  auto shared = std::make_shared<Shared>(c, weak_from_this());
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

Task<std::optional<ClientError>> Upstreams::connect(Connection& c, Kept kept) {
  auto self = shared_from_this();
  c.upstream.reset();
  c.reached.host = c.host;
  c.reached.port = c.port;
  for (int64_t deadline = c.now() + kForADial;;) {
    adopt_rules(c);
    if (take_shared(c) || (kept == Kept::usable && take_idle(c))) co_return std::nullopt;
    // The first connection shows which protocol the server speaks, and each connection shows how many requests it
    // accepts at the same time.
    bool settling = std::ranges::any_of(shared_, [&](const auto& each) { return each->is_settling(c.now()); });
    if ((!dialing_ || http1_only_) && !settling) break;
    waiting_.insert(&c.waker);
    co_await c.wait(settling ? std::min(deadline, c.now() + kForSettings) : deadline);
    waiting_.erase(&c.waker);
    if (c.client.source->is_gone() || c.now() >= deadline)
      co_return ClientError{504, "connect_timeout", "the connection to the host could not be made in time"};
  }
  dialing_ = true;
  Connected connected = co_await connect_upstream(c, c.config->http2 ? Offer::http1_and_2 : Offer::http1);
  dialing_ = false;
  if (!connected.error && speaks_http2(c.upstream.ssl.get())) {
    share(c);
  } else if (!connected.error && config_ == c.config) {
    // From now on, requests need not wait for each other.
    http1_only_ = true;
  }
  wake_waiting();
  co_return std::move(connected.error);
}

// Ended connections still hold memory, and the tunnel may not need another one for a long time.
void Upstreams::drop_ended() {
  std::erase_if(shared_, [](const auto& each) { return each->over; });
  wake_waiting();
}

void Upstreams::wake_waiting() {
  for (Waker* each : waiting_) each->wake();
}

void Upstreams::give_back(Connection& c) {
  Stream& up = c.upstream;
  received_ += up.received;
  // Only a connection in TLS is kept, and only if nothing is left in either direction and the rules are the same.
  if (closed_ || c.config != config_ || !up.ssl || up.eof || up.failed || !up.in.empty() || !up.flushed()) return;
  if (up.source->ahead() > 0) return;  // the server has sent more than its answer, and nothing counts what waits here
  if (idle_.size() >= kMostIdle) return;
  // The connection's Waker is about to be destroyed. Events of an idle connection wake nothing; take_idle() looks at
  // it.
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
  // The coroutines hold the connections, and end when their last streams are done.
  shared_.clear();
}

}  // namespace bottle::guard
