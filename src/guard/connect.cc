// Handles CONNECT: tunnels that are passed blindly, inspected, watched as ssh, or served as plain HTTP.
//
// The rules and the host's name decide first which of these a tunnel may be. The client's first bytes decide the
// rest, because CONNECT does not say what follows: TLS, HTTP without TLS, or something else, which is refused. To see
// them, the guard must first send its 200. If it can, it dials the host of a blind tunnel before that, so that the
// client gets a real answer if the host cannot be reached.
//
// In a blind tunnel, the guard can check only two things: the address, and the name in the ClientHello, which must be
// that of the CONNECT. Without the check of the name, a client could ask for an allowed host and then reach another
// one behind the same address, such as another host of a content delivery network. For ssh, the host key takes the
// place of the name.
#include <openssl/err.h>

#include <algorithm>
#include <expected>

#include "guard/core/judge.h"
#include "guard/protocol/client_hello.h"
#include "guard/protocol/ssh_watch.h"
#include "guard/serve.h"
#include "guard/ssh_agent.h"
#include "guard/tunnel.h"
#include "http/head.h"

namespace bottle::guard {
namespace {

constexpr int64_t kCertificatePatience = 5000;
constexpr std::string_view kEstablished = "HTTP/1.1 200 Connection established\r\n\r\n";

// Queues the 200 and waits until the client has it.
Task<bool> establish(Connection& c) {
  c.client.out.append(kEstablished);
  c.client.flush();
  while (!c.client.flushed() && !c.client.failed) {
    int64_t deadline = c.now() + kHandshakePatience;
    if (!co_await c.wait(deadline)) co_return false;
    c.client.flush();
  }
  co_return !c.client.failed;
}

// Returns whether the client has left or taken too long before its ClientHello, and records that.
bool ended_early(Connection& c, int64_t deadline) {
  bool late = c.now() >= deadline;
  if (!late && !c.client.eof && !c.client.failed) return false;
  c.audit({.action = Action::close,
           .kind = Kind::tls,
           .code = "no_hello",
           .reason = late ? "the client sent no ClientHello in time"
                          : "the client closed the connection before it sent a ClientHello"});
  return true;
}

// Says what a client sends first in a tunnel.
enum class Opening : uint8_t { none, tls, http, other };

// Waits for the first bytes, which stay in `c.client.in`.
Task<Opening> see_opening(Connection& c) {
  Stream& client = c.client;
  int64_t deadline = c.now() + kHandshakePatience;
  while (client.in.empty()) {
    if (client.fill()) continue;
    if (ended_early(c, deadline)) co_return Opening::none;
    co_await c.wait(deadline);
  }
  char first = client.in[0];
  // 0x16 is the record type `handshake` (RFC 8446 §5.1). A request line begins with a capital letter, and empty lines
  // before it are allowed (RFC 9112 §2.2).
  if (first == 0x16) co_return Opening::tls;
  co_return (first >= 'A' && first <= 'Z') || first == '\r' ? Opening::http : Opening::other;
}

// Records that the client speaks something else. It gets no answer, because it would not understand one.
void refuse_opening(Connection& c) {
  c.audit({.action = Action::deny,
           .kind = Kind::tls,
           .code = "tls_only",
           .reason = "the first bytes in the tunnel are neither a TLS ClientHello nor HTTP"});
}

// Says whether the ClientHello names the host of the CONNECT, as it must.
enum class Hello : uint8_t { named, nameless, bad };

// Waits for the whole ClientHello, and compares its name with the host. Records why it is bad.
Task<Hello> check_hello(Connection& c) {
  int64_t deadline = c.now() + kHandshakePatience;
  ClientHello hello;
  ArrivingHello arriving;
  while (true) {
    if (!c.client.in.empty()) {
      // The bytes stay in `in`: a tunnel sends them on, and an inspecting guard gives them to its own TLS.
      auto parsed = arriving.read(c.client.in, hello);
      if (parsed == Parse::bad) co_return refuse_opening(c), Hello::bad;
      if (parsed == Parse::ok) break;
    }
    if (c.client.fill()) continue;
    if (ended_early(c, deadline)) co_return Hello::bad;
    co_await c.wait(deadline);
  }
  // A client sends no name if the host is an address (RFC 6066 §3).
  if (hello.sni.empty()) co_return c.host.literal ? Hello::named : Hello::nameless;
  auto named = policy::normalise_host(hello.sni);
  if (!c.host.literal && named && named->name == c.host.name) co_return Hello::named;
  c.audit({.action = Action::deny,
           .kind = Kind::tls,
           .code = "sni",
           .reason = "the ClientHello names \"" + c.config->recordable(hello.sni).substr(0, 100) + "\""});
  co_return Hello::bad;
}

// Counts a tunnel that is not inspected, and dials the destination of the CONNECT. Returns the account in which the
// tunnel counts.
Task<std::expected<Budget::Account*, ClientError>> open_upstream(Connection& c) {
  auto admission = c.context.budget.admit(c.host, 0);
  if (!admission.account) co_return std::unexpected(ClientError{403, kLimitReached, std::move(admission.reason)});
  auto dialed = co_await dial(c.context, *c.config, c.waker, c.host, c.port, Via::tunnel, c.client.source.get());
  if (!dialed) co_return std::unexpected(std::move(dialed.error()));
  c.upstream.source = std::move(dialed->source);
  c.upstream.in = std::move(dialed->early);
  c.reached.through_parent = dialed->through_parent;
  co_return admission.account;
}

// Waits for the record. The client already has its 200, so without a record the tunnel can only be ended.
Task<bool> is_recorded(Connection& c, Kind kind) {
  bool done = co_await recorded(c);
  if (!done)
    c.audit(
        {.action = Action::close, .kind = kind, .code = "unrecorded", .reason = "the decision could not be recorded"});
  co_return done;
}

// Returns whether the rules allow a tunnel that is not inspected.
bool blind_allowed(const Config& config, const policy::Host& host, uint16_t port) {
  auto decision = config.rules.connect(host, port);
  return decision.allowed && !decision.inspect && config.secrets.of(host).bound.empty() &&
         (!host.literal || config.fixed(host));
}

// Serves HTTP without TLS in a tunnel, which Node and WebSocket clients use for http:// hosts. The rules for http://
// apply to each request. The connection that was dialed for the tunnel is used, unless a parent proxy expects another
// kind of request. `counted` is the account in which the tunnel counts as a request, or null.
Task<void> plain(Connection& c, Budget::Account* counted) {
  if (counted) c.context.budget.take_back_request(*counted);
  if (c.port == 443) co_return refuse_opening(c);
  // Bytes that arrived before a request cannot be the answer to it.
  if (c.reached.through_parent || !c.upstream.in.empty()) c.upstream.reset();
  // For the requests that follow, the connection counts as one that leads to their host.
  c.reached.host = c.host;
  c.reached.port = c.port;
  co_await serve_requests(c);
}

// Establishes the tunnel. Returns true if the client speaks TLS in it; its first bytes then stay in `c.client.in`.
// Otherwise, it has already served or refused what the client sent. `counted` is the account in which the tunnel counts
// as a request, or null.
Task<bool> client_speaks_tls(Connection& c, Budget::Account* counted) {
  if (!co_await establish(c)) co_return false;
  switch (co_await see_opening(c)) {
    case Opening::none:
      co_return false;
    case Opening::other:
      if (counted) c.context.budget.take_back_request(*counted);
      refuse_opening(c);
      co_return false;
    case Opening::http:
      co_await plain(c, counted);
      co_return false;
    case Opening::tls:
      co_return true;
  }
  co_return false;
}

Task<void> inspect_tls(Connection& c);

// Records the end of a tunnel.
void end_tunnel(Connection& c, Kind kind, const Budget::Account& account, std::string_view why) {
  if (why == kNoBytesLeft)
    c.audit({.action = Action::deny,
             .kind = kind,
             .code = kLimitReached,
             .reason = c.context.budget.end_by_bytes(account)});
  c.audit({.action = Action::close, .kind = kind, .reason = why, .totals = true});
}

// Serves a tunnel that is not inspected, unless its ClientHello names no host.
Task<void> blind(Connection& c) {
  // On the usual port of http://, nothing is dialed until the client's protocol is known, because a parent proxy gets
  // another kind of request for http://.
  bool late = c.port == 80;
  Budget::Account* account = nullptr;
  if (!late) {
    auto opened = co_await open_upstream(c);
    if (!opened) co_return co_await refuse(c, Kind::connect, std::move(opened.error()));
    account = *opened;
  }
  if (!co_await client_speaks_tls(c, account)) co_return;
  auto hello = co_await check_hello(c);
  if (hello == Hello::bad) {
    if (account) c.context.budget.take_back_request(*account);
    co_return;
  }
  if (hello == Hello::nameless) {
    // A server may serve any of its hosts on a connection whose ClientHello has no name. An inspected connection can
    // reach only this host.
    c.upstream.reset();
    if (account) c.context.budget.take_back_request(*account);
    co_return co_await inspect_tls(c);
  }
  if (late) {
    auto opened = co_await open_upstream(c);
    // The client's TLS waits in the tunnel, where an answer in plain text would mean nothing to it.
    if (!opened) co_return c.audit(Kind::connect, opened.error());
    account = *opened;
  }
  c.audit({.action = Action::allow, .kind = Kind::connect, .code = "allowed"});
  if (!co_await is_recorded(c, Kind::connect)) co_return;
  auto why = co_await tunnel(c.context, c.waker, c.client, c.upstream, *account, c.config->idle_ms,
                             [&](const Config& config) { return blind_allowed(config, c.host, c.port); });
  end_tunnel(c, Kind::connect, *account, why);
}

// Passes bytes in both directions until the server has shown its key, because the key exchange needs both sides. The
// bytes that the client can send before, and the time, are bounded. Returns false if the tunnel must end, and records
// why. The end of the key exchange is then not sent to the client yet.
Task<bool> see_host_key(Connection& c, SshWatch& watch, Budget::Account& account) {
  int64_t deadline = c.now() + kHandshakePatience;
  constexpr size_t kMostBefore = 64 * 1024;  // the most that a client may send before the server has shown its key
  size_t from_client = 0;
  while (true) {
    bool progress = c.client.unsent() < kMostBefore && c.upstream.fill();
    if (!c.upstream.in.empty()) {
      auto state = watch.feed(c.upstream.in);
      if (state == SshWatch::State::refused) {
        c.audit({.action = Action::deny, .kind = Kind::ssh, .code = "ssh_key", .reason = watch.why()});
        co_return false;
      }
      c.client.out.append(c.upstream.in);
      c.upstream.in.clear();
      if (state == SshWatch::State::matched) co_return true;
    }
    progress |= c.client.fill();
    if (!c.context.budget.add_bytes(account, c.client.in.size())) {
      end_tunnel(c, Kind::ssh, account, kNoBytesLeft);
      co_return false;
    }
    from_client += c.client.in.size();
    c.upstream.out.append(c.client.in);
    c.client.in.clear();
    progress |= c.upstream.flush();
    progress |= c.client.flush();
    bool over = c.upstream.eof || c.upstream.failed || c.client.eof || c.client.failed || c.now() >= deadline ||
                from_client > kMostBefore;
    if (over) {
      c.audit({.action = Action::close,
               .kind = Kind::ssh,
               .code = "ssh_key",
               .reason = "the connection ended before the server sent its host key",
               .totals = true});
      co_return false;
    }
    if (!progress) co_await c.wait(deadline);
  }
}

// Serves a tunnel to a host of `ssh`, as long as the server shows the right key.
Task<void> ssh(Connection& c, const SshHost& host) {
  auto opened = co_await open_upstream(c);
  if (!opened) co_return co_await refuse(c, Kind::ssh, std::move(opened.error()));
  Budget::Account& account = **opened;
  c.audit({.action = Action::allow, .kind = Kind::ssh, .code = "allowed"});
  if (!co_await establish(c) || !co_await is_recorded(c, Kind::ssh)) co_return;
  SshWatch watch(host.key);
  if (!co_await see_host_key(c, watch, account)) co_return;
  // The owner of the keys must know this tunnel before the client asks for a signature, so it is told first.
  uint32_t number = report_ssh_tunnel(c, watch.proof());
  auto may_go_on = [&](const Config& config) {
    const auto* now = config.ssh_host(c.host, c.port);
    // The operator may have changed the key, or forbidden the host, while the tunnel was open.
    return now && now->key == host.key && !config.rules.denied(c.host);
  };
  auto why = co_await tunnel(c.context, c.waker, c.client, c.upstream, account, c.config->idle_ms, may_go_on);
  end_ssh_tunnel(c.context, number);
  end_tunnel(c, Kind::ssh, account, why);
}

// Records that the client's handshake failed, or that it is still `waiting` although its time is up.
void record_failed_handshake(Connection& c, bool waiting) {
  if (refused_name(c.client.ssl.get())) {
    c.audit({.action = Action::deny, .kind = Kind::tls, .code = "sni", .reason = "the ClientHello names another host"});
  } else if (waiting) {
    c.audit({.action = Action::close,
             .kind = Kind::tls,
             .code = "tls_only",
             .reason = "the client did not finish the TLS handshake in time"});
  } else {
    c.audit({.action = Action::deny,
             .kind = Kind::tls,
             .code = "tls_only",
             .reason = "the TLS handshake with the client failed: " + tls_error()});
  }
}

// Terminates the client's TLS, whose first bytes are in `c.client.in`.
Task<void> inspect_tls(Connection& c) {
  c.audit({.action = Action::allow, .kind = Kind::connect, .code = "inspected"});
  // The certificate arrives right after the first configuration. A faster client waits for it.
  for (int64_t until = c.now() + kCertificatePatience; !c.context.ca->certified() && c.now() < until;)
    co_await c.wait(std::min(until, c.now() + 10));
  auto ssl = c.context.ca->accept(c.host, c.config->http2 ? Offer::http1_and_2 : Offer::http1);
  if (!ssl) {
    c.audit({.action = Action::close, .kind = Kind::tls, .code = "internal", .reason = ssl.error().what});
    co_return;
  }
  // The library reads from the source, so the ClientHello must be put back there.
  c.client.source->unread(std::exchange(c.client.in, {}));
  c.client.ssl = std::move(*ssl);
  attach(c.client.ssl.get(), c.client.source.get());
  c.client.rest();
  int64_t deadline = c.now() + kHandshakePatience;
  while (true) {
    ERR_clear_error();
    int result = SSL_do_handshake(c.client.ssl.get());
    if (result == 1) break;
    int error = SSL_get_error(c.client.ssl.get(), result);
    bool waiting = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
    if (!waiting || c.now() >= deadline) {
      record_failed_handshake(c, waiting);
      co_return;
    }
    co_await c.wait(deadline);
  }
  c.tls = true;
  if (speaks_http2(c.client.ssl.get())) co_await serve_http2(c);
  else co_await serve_requests(c);
  c.audit({.action = Action::close, .kind = Kind::connect, .totals = true});
}

Task<void> inspected(Connection& c) {
  if (co_await client_speaks_tls(c, nullptr)) co_await inspect_tls(c);
}

}  // namespace

Task<void> serve_connect(Connection& c, std::string target, bool named_alike) {
  auto refusal = [&](ClientError error) { return refuse(c, Kind::connect, std::move(error)); };
  c.refresh();
  auto authority = policy::parse_authority(target, 0);
  if (!authority) {
    c.host.name = target;  // the record names the target as the client sent it, although it is not a host
    co_return co_await refusal({400, "bad_request", "the target of CONNECT is not valid: " + authority.error().what});
  }
  c.host = authority->host;
  c.port = authority->port;
  if (auto why = cannot_record(c); !why.empty()) co_return co_await refusal({503, "unrecorded", std::string(why)});
  if (!named_alike)
    co_return co_await refusal({403, "host_mismatch", "the Host header and the target of CONNECT differ"});
  auto judged = judge_connect(*c.config, c.host, c.port);
  c.tunneled = judged.way == ConnectJudgement::Way::inspected || judged.way == ConnectJudgement::Way::blind;
  if (c.tunneled && names_secret(*c.config, c.host))
    co_return co_await refusal({403, "secret", std::string(kNamesSecret)});
  switch (judged.way) {
    case ConnectJudgement::Way::refused:
      co_return co_await refusal({403, judged.decision.code, std::move(judged.decision.reason), judged.decision.lacks});
    case ConnectJudgement::Way::ssh:
      co_return co_await ssh(c, *c.config->ssh_host(c.host, c.port));
    case ConnectJudgement::Way::inspected:
      co_return co_await inspected(c);
    case ConnectJudgement::Way::blind:
      co_return co_await blind(c);
  }
}

}  // namespace bottle::guard
