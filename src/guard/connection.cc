#include "guard/connection.h"

#include <sys/socket.h>

#include <openssl/err.h>

#include <algorithm>

#include "guard/protocol/client_hello.h"
#include "guard/protocol/http_head.h"
#include "guard/protocol/ssh_watch.h"
#include "guard/ssh_agent.h"
#include "guard/tunnel.h"

namespace bottle::guard {
namespace {

constexpr int64_t kHeadPatience = 60 * 1000, kHandshakePatience = 30 * 1000, kCertificatePatience = 5000;
constexpr std::string_view kEstablished = "HTTP/1.1 200 Connection established\r\n\r\n";

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 405:
      return "Method Not Allowed";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "Bad Gateway";
  }
}

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

// The client's first bytes must be a ClientHello that names the host of the CONNECT.
Task<bool> check_hello(Connection& c) {
  int64_t deadline = c.now() + kHandshakePatience;
  ClientHello hello;
  while (true) {
    if (!c.client.in.empty()) {
      auto parsed = parse_client_hello(c.client.in, hello);
      if (parsed == Parse::bad) {
        c.audit("deny", "tls", "tls_only", "the first bytes in the tunnel are not a TLS ClientHello");
        co_return false;
      }
      if (parsed == Parse::ok) break;
    }
    if (c.client.fill()) continue;
    if (c.client.eof || c.client.failed || c.now() >= deadline) {
      c.audit("close", "tls", "no_hello",
              c.now() >= deadline ? "no ClientHello in time" : "the client left before its ClientHello");
      co_return false;
    }
    co_await c.wait(deadline);
  }
  auto named = policy::normalise_host(hello.sni);
  bool same = c.host.literal ? hello.sni.empty() : named && named->name == c.host.name;
  if (!same) c.audit("deny", "tls", "sni", "the ClientHello names \"" + hello.sni.substr(0, 100) + "\"");
  co_return same;
}

// Dials where the CONNECT asks to. False: it has been answered with why not.
Task<bool> reach(Connection& c, const char* kind) {
  Dialed dialed = co_await dial(c.context, *c.config, c.waker, c.host, c.port, Via::tunnel, c.client.source.get());
  if (!dialed.source) {
    c.audit(dialed.status == 403 ? "deny" : "close", kind, dialed.code, dialed.reason);
    c.answer(dialed.status, dialed.code, true);
    co_return false;
  }
  c.upstream.source = std::move(dialed.source);
  c.upstream.in = std::move(dialed.early);
  c.audit("allow", kind, "allowed", "");
  co_return true;
}

// The client has its 200 already: without a record there is nothing to do but to end the tunnel.
Task<bool> is_recorded(Connection& c, const char* kind) {
  bool done = co_await recorded(c);
  if (!done) c.audit("close", kind, "unrecorded", "the decision could not be recorded");
  co_return done;
}

// Whether the rules allow a tunnel that nobody looks into.
bool blind_allowed(const Config& config, const policy::Host& host, uint16_t port) {
  auto decision = config.rules.connect(host, port);
  return decision.allowed && !decision.inspect && config.secrets.of(host).bound.empty() &&
         (!host.literal || config.fixed(host));
}

Task<bool> blind(Connection& c) {
  if (!co_await reach(c, "connect")) co_return co_await finish(c);
  if (!co_await establish(c) || !co_await check_hello(c) || !co_await is_recorded(c, "connect")) co_return false;
  auto why = co_await tunnel(c.context, c.waker, c.client, c.upstream, c.config->idle_ms,
                             [&](const Config& config) { return blind_allowed(config, c.host, c.port); });
  c.audit("close", "connect", "", why, {}, {}, true);
  co_return true;
}

Task<bool> ssh(Connection& c, const SshHost& host) {
  if (!co_await reach(c, "ssh")) co_return co_await finish(c);
  if (!co_await establish(c) || !co_await is_recorded(c, "ssh")) co_return false;
  SshWatch watch(host.key);
  int64_t deadline = c.now() + kHandshakePatience;
  constexpr size_t kMostBefore = 64 * 1024;  // what a client has to say before the server has shown its key
  size_t from_client = 0;
  while (true) {
    bool progress = c.client.unsent() < kMostBefore && c.upstream.fill();
    if (!c.upstream.in.empty()) {
      auto state = watch.feed(c.upstream.in);
      if (state == SshWatch::State::refused) {
        c.audit("deny", "ssh", "ssh_key", watch.why());
        co_return false;
      }
      c.client.out.append(c.upstream.in);
      c.upstream.in.clear();
      if (state == SshWatch::State::matched) break;
    }
    progress |= c.client.fill();
    from_client += c.client.in.size();
    c.upstream.out.append(c.client.in);
    c.client.in.clear();
    progress |= c.upstream.flush();
    progress |= c.client.flush();
    bool over = c.upstream.eof || c.upstream.failed || c.client.eof || c.client.failed || c.now() >= deadline ||
                from_client > kMostBefore;
    if (over) {
      c.audit("close", "ssh", "ssh_key", "no host key was shown", {}, {}, true);
      co_return false;
    }
    if (!progress) co_await c.wait(deadline);
  }
  auto why = co_await tunnel(c.context, c.waker, c.client, c.upstream, c.config->idle_ms, [&](const Config& config) {
    const auto* now = config.ssh_host(c.host, c.port);
    return now && now->key == host.key && !config.rules.denied(c.host);
  });
  c.audit("close", "ssh", "", why, {}, {}, true);
  co_return true;
}

Task<bool> inspected(Connection& c) {
  c.audit("allow", "connect", "inspected", "");
  if (!co_await establish(c)) co_return false;
  // A client that did not wait for the 200 is read by the same socket: its bytes must go to TLS.
  if (!c.client.in.empty()) {
    c.audit("deny", "tls", "tls_only", "bytes before the tunnel was established");
    co_return false;
  }
  // The certificate comes right behind the first configuration; a client that is quicker waits for it.
  for (int64_t until = c.now() + kCertificatePatience; !c.context.ca->certified() && c.now() < until;)
    co_await c.wait(std::min(until, c.now() + 10));
  auto ssl = c.context.ca->accept(c.host);
  if (!ssl) {
    c.audit("close", "tls", "internal", ssl.error().what);
    co_return false;
  }
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
      if (refused_name(c.client.ssl.get())) c.audit("deny", "tls", "sni", "the ClientHello names another host");
      else
        c.audit(waiting ? "close" : "deny", "tls", "tls_only",
                waiting ? "no handshake in time" : "handshake with the client: " + tls_error());
      co_return false;
    }
    co_await c.wait(deadline);
  }
  c.tls = true;
  co_await serve_requests(c);
  c.audit("close", "connect", "", "", {}, {}, true);
  co_return true;
}

Task<bool> handle_connect(Connection& c, std::string target, bool named_alike) {
  auto refuse = [&](int status, std::string_view code, std::string_view reason) {
    if (c.host.name.empty()) c.host.name = target.substr(0, 260);
    c.audit("deny", "connect", code, reason);
    c.answer(status, code, true);
  };
  c.refresh();
  auto authority = policy::parse_authority(target, 0);
  if (!authority) {
    refuse(400, "bad_request", "the target of CONNECT: " + authority.error().what);
    co_return co_await finish(c);
  }
  c.host = authority->host;
  c.port = authority->port;
  if (auto why = cannot_record(c); !why.empty()) {
    c.audit("close", "connect", "unrecorded", why);
    c.answer(503, "unrecorded", true);
    co_return co_await finish(c);
  }
  if (!named_alike) {
    refuse(403, "host_mismatch", "Host and the target of CONNECT differ");
    co_return co_await finish(c);
  }
  if (const auto* host = c.config->ssh_host(c.host, c.port); host && !c.config->rules.denied(c.host))
    co_return co_await ssh(c, *host);
  if (c.host.literal && !c.config->fixed(c.host)) {
    refuse(403, "ip_literal", "an address instead of a name");
    co_return co_await finish(c);
  }
  auto decision = c.config->rules.connect(c.host, c.port);
  if (!decision.allowed) {
    refuse(403, decision.code, decision.reason);
    co_return co_await finish(c);
  }
  if (c.port == 80) {
    refuse(403, "tls_only", "CONNECT to port 80: tunnels carry TLS only");
    co_return co_await finish(c);
  }
  if (decision.inspect || c.config->secrets.of(c.host).scanned()) co_return co_await inspected(c);
  co_return co_await blind(c);
}

// An answer that ends when the guard does: whoever reads it knows at once.
Task<bool> show_life(Connection& c) {
  c.client.out = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n";
  int64_t deadline = c.now() + c.config->idle_ms;
  while (c.now() < deadline && !c.client.eof && !c.client.failed) {
    bool progress = c.client.flush();
    c.client.in.clear();
    progress |= c.client.fill();
    if (progress) {
      co_await c.turn();  // a client that talks without end must not have all of them
      continue;
    }
    c.client.rest();
    co_await c.wait(deadline);
  }
  co_return true;
}

Task<bool> run(Connection& c) {
  int64_t deadline = c.now() + kHeadPatience;
  static Head head;  // used between awaits only
  Parse parsed = Parse::incomplete;
  if (!co_await room_in_record(c)) co_return false;
  while (true) {
    if (c.client.fill()) {
      if (!c.client.in.empty()) parsed = parse_request(c.client.in, head);
      if (parsed != Parse::incomplete || c.client.failed || c.client.eof) break;
      continue;
    }
    if (c.now() >= deadline) co_return false;
    co_await c.wait(deadline);
  }
  if (parsed == Parse::incomplete) co_return false;
  if (parsed == Parse::bad) {
    c.audit("deny", "http", "bad_request", head.why);
    c.answer(400, "bad_request", true);
    co_return co_await finish(c);
  }
  if (head.method == "CONNECT") {
    std::string target(head.target);
    bool framed = head.chunked || head.content_length.value_or(0) > 0;
    auto host = policy::parse_authority(head.host, 443);
    auto authority = policy::parse_authority(target, 0);
    // Host without its port is common; another name is not.
    bool alike = !head.has_host || (host && authority && host->host.name == authority->host.name);
    c.client.in.erase(0, head.size);
    if (framed) {
      c.audit("deny", "connect", "bad_request", "CONNECT with a body");
      c.answer(400, "bad_request", true);
      co_return co_await finish(c);
    }
    co_return co_await handle_connect(c, std::move(target), alike);
  }
  if (head.target.starts_with('/')) {
    // Questions to the guard itself: whether it is alive, and the way to the session's ssh-agent. Nothing else is to be
    // learned here.
    bool get = head.method == "GET" && !head.chunked && !head.content_length;
    std::string target(head.target);
    c.client.in.erase(0, head.size);
    if (get && target == "/ssh-agent") co_return co_await serve_ssh_agent(c);
    if (get && target == "/alive") co_return co_await show_life(c);
    c.client.out = get ? "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\nConnection: "
                         "close\r\n\r\nbottle guard\n"
                       : "";
    if (!get) {
      c.audit("deny", "http", "bad_request", "a request to the guard itself");
      c.answer(400, "bad_request", true);
    }
    co_return co_await finish(c);
  }
  co_return co_await serve_requests(c);
}

}  // namespace

Connection::Connection(Context& shared, int fd) : context(shared), config(shared.config), id(shared.new_id()) {
  ++context.connections;
  context.wakers.insert(&waker);
  client.source = std::make_unique<Source>();
  client.source->open(fd, &waker);
}

Connection::~Connection() {
  context.wakers.erase(&waker);
  --context.connections;
}

void Connection::refresh() {
  if (config == context.config) return;
  config = context.config;
  upstream.end_tls();
  upstream.reset();
}

Waker::Wait Connection::wait(int64_t deadline) {
  if (client) client.source->watch();
  if (upstream) upstream.source->watch();
  return waker.wait(deadline);
}

Waker::Wait Connection::turn() {
  waker.wake();
  return wait(now() + kHeadPatience);
}

void Connection::audit(std::string_view action, std::string_view kind, std::string_view code, std::string_view reason,
                       std::string_view method, std::string_view path, bool totals) {
  std::string clean_host, clean_path, clean_reason;
  auto clean = [&](std::string_view text, std::string& storage) -> std::string_view {
    if (text.empty() || config->secrets.empty()) return text;
    return storage = config->secrets.starred(text);
  };
  context.audit.write({.id = id,
                       .action = action,
                       .kind = kind,
                       .host = clean(host.name, clean_host),
                       .port = port,
                       .method = method,
                       .path = clean(path.substr(0, path.find('?')), clean_path),
                       .code = code,
                       .reason = clean(reason, clean_reason),
                       .totals = totals,
                       .bytes_out = client.received,
                       .bytes_in = upstream.received});
}

void Connection::answer(int status, std::string_view code, bool close) {
  std::string body = (status == 403 || status == 400 ? "bottle: refused (" : "bottle: failed (") + std::string(code) +
                     "), id " + id + "\n";
  client.out.append("HTTP/1.1 ").append(std::to_string(status)).append(" ").append(reason_phrase(status));
  client.out.append(status == 403 || status == 400 ? "\r\nX-Bottle-Deny: " : "\r\nX-Bottle-Error: ").append(code);
  client.out.append("\r\nContent-Type: text/plain\r\nContent-Length: ").append(std::to_string(body.size()));
  client.out.append(close ? "\r\nConnection: close\r\n\r\n" : "\r\n\r\n").append(body);
}

std::string_view cannot_record(const Connection& c) {
  if (!c.context.audit.stuck().empty()) return c.context.audit.stuck();
  return c.config->unrecorded;
}

Task<bool> room_in_record(Connection& c) {
  Audit& audit = c.context.audit;
  if (!audit.congested()) co_return true;
  Audit::Watcher watcher(audit, c.waker);
  // What cannot be written at all is refused, not waited for.
  while (audit.congested() && audit.stuck().empty()) {
    if (c.client.source->broken) co_return false;
    co_await c.wait(c.now() + kHeadPatience);
  }
  co_return true;
}

Task<bool> recorded(Connection& c) {
  Audit& audit = c.context.audit;
  uint64_t mark = audit.mark();
  if (audit.reached(mark)) co_return true;
  Audit::Watcher watcher(audit, c.waker);
  while (!audit.reached(mark)) {
    if (!audit.stuck().empty() || c.client.source->broken) co_return false;
    co_await c.wait(c.now() + kHeadPatience);
  }
  co_return true;
}

Task<bool> finish(Connection& c) {
  constexpr int64_t kLinger = 2000;
  int64_t deadline = c.now() + kLinger;
  Stream& s = c.client;
  s.flush();
  while (!s.flushed() && !s.failed && c.now() < deadline) {
    co_await c.wait(deadline);
    s.flush();
  }
  if (s.failed || !s.flushed()) co_return false;
  s.end_tls();
  ::shutdown(s.source->fd(), SHUT_WR);
  // Closing with unread bytes would reset the connection and take the answer with it.
  size_t most = 1 << 20;
  for (size_t seen = 0; seen < most && !s.eof && !s.failed && c.now() < deadline; seen += s.in.size()) {
    s.in.clear();
    if (!s.fill()) co_await c.wait(deadline);
  }
  co_return true;
}

Detached serve(Context& context, int fd) {
  Connection connection(context, fd);
  co_await run(connection);
  connection.upstream.end_tls();
  connection.client.end_tls();
}

}  // namespace bottle::guard
