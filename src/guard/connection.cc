#include "guard/connection.h"

#include <sys/socket.h>

#include <algorithm>

#include "guard/protocol/http_head.h"
#include "guard/ssh_agent.h"

namespace bottle::guard {
namespace {

constexpr int64_t kHeadPatience = 60 * 1000;

// Sends an answer that ends when the guard ends, so that its reader knows at once.
Task<bool> show_life(Connection& c) {
  c.client.out = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n";
  int64_t deadline = c.now() + c.config->idle_ms;
  while (c.now() < deadline && !c.client.eof && !c.client.failed) {
    bool progress = c.client.flush();
    c.client.in.clear();
    progress |= c.client.fill();
    if (progress) {
      co_await c.turn();  // a client that sends without a pause must not use up all turns
      continue;
    }
    c.client.rest();
    co_await c.wait(deadline);
  }
  co_return true;
}

Task<bool> run(Connection& c) {
  int64_t deadline = c.now() + kHeadPatience;
  static Head head;  // used only between awaits
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
    // A Host header often lacks the port. Another name is not acceptable.
    bool alike = !head.has_host || (host && authority && host->host.name == authority->host.name);
    c.client.in.erase(0, head.size);
    if (framed) {
      c.audit("deny", "connect", "bad_request", "CONNECT with a body");
      c.answer(400, "bad_request", true);
      co_return co_await finish(c);
    }
    co_return co_await serve_connect(c, std::move(target), alike);
  }
  if (head.target.starts_with('/')) {
    // The client may ask the guard itself two things: whether it is alive, and for a connection to the session's
    // ssh-agent. It can learn nothing else.
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

void Connection::audit_secret(AuditLine line) {
  std::string clean_path;
  if (hides_path) line.path = {};
  line.path = line.path.substr(0, line.path.find('?'));
  if (!line.path.empty() && !config->secrets.empty()) line.path = clean_path = config->secrets.starred(line.path);
  line.id = id;
  line.kind = "http";
  line.host = host.name;
  line.port = port;
  context.audit.write(line);
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
                       .path = hides_path ? "" : clean(path.substr(0, path.find('?')), clean_path),
                       .code = code,
                       .reason = clean(reason, clean_reason),
                       .totals = totals,
                       .bytes_out = client.received,
                       .bytes_in = upstream.received});
}

void Connection::answer(int status, std::string_view code, bool close) {
  bool refused = status == 403 || status == 400;
  std::string body = (refused ? "bottle: refused (" : "bottle: failed (") + std::string(code) + "), id " + id + "\n";
  client.out.append("HTTP/1.1 ").append(std::to_string(status)).append(" bottle ").append(code);
  client.out.append(refused ? "\r\nX-Bottle-Deny: " : "\r\nX-Bottle-Error: ").append(code);
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
  // If lines cannot be written at all, the request is refused instead of waiting.
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
  // Closing with unread bytes would reset the connection and discard the answer.
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
