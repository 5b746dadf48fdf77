// Does what every path through the guard needs: writes audit lines and the guard's own answers, waits for the record,
// and ends a connection. The host, the path and the reason of an audit line come from the agent and may contain a
// secret in any form. They are cleaned here, in the only place that writes lines for a connection, so that no caller
// can forget it.
#include "guard/connection/connection.h"

#include <algorithm>

#include "guard/core/judge.h"
#include "http/head.h"

namespace bottle::guard {
namespace {

constexpr int64_t kHeadPatience = 60 * 1000;

}  // namespace

Connection::Connection(Context& shared, int fd) : Connection(shared, std::make_unique<Source>()) {
  client.source->open(fd, &waker);
}

Connection::Connection(Context& shared, std::unique_ptr<Source> source)
    : context(shared), config(shared.config), id(shared.new_id()) {
  ++context.connections;
  context.wakers.insert(&waker);
  client.source = std::move(source);
}

Connection::~Connection() {
  context.wakers.erase(&waker);
  --context.connections;
}

void Connection::refresh() {
  if (config == context.config) return;
  config = context.config;
  // New rules may lead to another address, trust other roots or forbid the host.
  upstream.end_tls();
  upstream.reset();
}

Waker::Wait Connection::wait(int64_t deadline) {
  // Sources are registered at the first wait, so a connection that never waits saves that call.
  if (client) client.source->watch();
  if (upstream) upstream.source->watch();
  return waker.wait(deadline);
}

Waker::Wait Connection::turn() {
  // The Waker is signaled already, so the deadline never comes.
  waker.wake();
  return wait(now() + kHeadPatience);
}

void Connection::audit(AuditLine line) {
  std::string clean_host, clean_method, clean_path, clean_reason;
  // Everything that was let through has been scanned. Only names that the operator wrote down may contain a value,
  // and a method may pass although it contains one. Other lines show what a client tried, which may contain anything.
  bool scanned = line.action == Action::allow || line.code == "usage";
  auto clean = [&](std::string_view text, std::string& storage) -> std::string_view {
    if (text.empty() || (scanned && config->secrets.empty())) return text;
    return storage = scanned ? config->secrets.masked(text) : config->recordable(text);
  };
  if (!is_common_method(line.method)) line.method = clean_method = config->recordable(line.method);
  line.id = id;
  line.host = clean(host.name, clean_host);
  line.port = port;
  // A query often has tokens that are in no list of secrets, so it is never recorded.
  if (!line.path.empty() && !masked_path.empty()) line.path = masked_path;
  line.path = clean(line.path.substr(0, line.path.find('?')), clean_path);
  // A reason that is about a credential names only the rule.
  if (line.fingerprint.empty()) line.reason = clean(line.reason, clean_reason);
  line.bytes_out = client.received;
  line.bytes_in = upstream.received;
  context.audit.write(line);
}

void Connection::audit(Kind kind, const ClientError& error) {
  audit({.action = error.action(), .kind = kind, .code = error.code, .reason = error.reason, .lacks = error.lacks});
}

void Connection::answer(int status, std::string_view code, After after) {
  client.out += answer_of_guard(status, code, id, after);
}

std::string answer_of_guard(int status, std::string_view code, std::string_view id, After after) {
  bool refused = is_refusal(status);
  std::string body = refused ? "bottle: refused (" : "bottle: failed (", out = "HTTP/1.1 ";
  body.append(code).append("), id ").append(id).append("\n");
  if (code == kLimitReached)
    body += "A limit of the session is reached. Nothing more passes until the operator raises it.\n";
  out.append(std::to_string(status)).append(" bottle ").append(code);
  out.append(refused ? "\r\nX-Bottle-Deny: " : "\r\nX-Bottle-Error: ").append(code);
  out.append("\r\nContent-Type: text/plain\r\nContent-Length: ").append(std::to_string(body.size()));
  out.append(after == After::close ? "\r\nConnection: close\r\n\r\n" : "\r\n\r\n").append(body);
  return out;
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
    if (c.client.source->is_gone()) co_return false;
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
    if (!audit.stuck().empty() || c.client.source->is_gone()) co_return false;
    co_await c.wait(c.now() + kHeadPatience);
  }
  co_return true;
}

Task<void> finish(Connection& c) {
  constexpr int64_t kLinger = 2000;
  int64_t deadline = c.now() + kLinger;
  Stream& s = c.client;
  s.flush();
  while (!s.flushed() && !s.failed && c.now() < deadline) {
    co_await c.wait(deadline);
    s.flush();
  }
  if (s.failed || !s.flushed()) co_return;
  s.end_tls();
  s.source->shut();
  // Closing with unread bytes would reset the connection and discard the answer.
  size_t most = 1 << 20;
  // A client that does not stop sending is cut off after a megabyte, or when the time to linger is up.
  for (size_t seen = 0; seen < most && !s.eof && !s.failed && c.now() < deadline; seen += s.in.size()) {
    s.in.clear();
    if (!s.fill()) co_await c.wait(deadline);
  }
}

Task<void> refuse(Connection& c, Kind kind, ClientError error) {
  c.audit(kind, error);
  c.answer(error.status, error.code, After::close);
  co_await finish(c);
}

}  // namespace bottle::guard
