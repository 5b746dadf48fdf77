// Reads the head of a client's first request, and decides by it what to serve: a tunnel, an answer from the guard
// itself, the session's ssh-agent, or requests in absolute form. Other files serve tunnels and requests. If the head
// is not complete within a minute, the connection ends, so that silent clients do not use up the places.
#include "guard/serve.h"

#include "guard/ssh_agent.h"
#include "http/head.h"

namespace bottle::guard {
namespace {

// Sends an answer that ends when the guard ends, so that its reader notices immediately.
Task<void> show_life(Connection& c) {
  c.client.out = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n";
  int64_t deadline = c.now() + c.config->idle_ms;
  while (c.now() < deadline && !c.client.eof && !c.client.failed) {
    bool progress = c.client.flush();
    // The client's bytes mean nothing here. They are read only to notice the end.
    c.client.in.clear();
    progress |= c.client.fill();
    if (progress) {
      co_await c.turn();  // a client that sends without a pause must not use up all turns
      continue;
    }
    c.client.rest();
    co_await c.wait(deadline);
  }
}

ClientError bad_request(std::string reason) { return {400, "bad_request", std::move(reason)}; }

// Reads the first head of a connection, which decides what the connection becomes: a tunnel (CONNECT), a series of
// requests for http://, or one of the guard's own paths.
Task<void> run(Connection& c) {
  int64_t deadline = c.now() + kHeadPatience;
  static http::Head head;  // used only between awaits
  http::ArrivingHead arriving;
  Parse parsed = Parse::incomplete;
  // Every request leads to a line in the record, so no request is read while lines wait.
  if (!co_await room_in_record(c)) co_return;
  while (true) {
    if (c.client.fill()) {
      if (!c.client.in.empty())
        parsed = arriving.read(c.client.in, [&] { return http::parse_request(c.client.in, head); });
      if (parsed != Parse::incomplete || c.client.failed || c.client.eof) break;
      continue;
    }
    if (c.now() >= deadline) co_return;
    co_await c.wait(deadline);
  }
  if (parsed == Parse::incomplete) co_return;
  if (parsed == Parse::bad) co_return co_await refuse(c, Kind::http, bad_request(head.why));
  if (head.method == "CONNECT") {
    std::string target(head.target);
    bool framed = head.chunked || head.content_length.value_or(0) > 0;
    auto host = policy::parse_authority(head.host.value_or(""), 443);
    auto authority = policy::parse_authority(target, 0);
    // A Host header often lacks the port, but must not have another name.
    bool alike = !head.host || (host && authority && host->host.name == authority->host.name);
    c.client.in.erase(0, head.size);
    // CONNECT has no content (RFC 9110 §9.3.6). The bytes of a body would be mistaken for the first bytes of the
    // tunnel.
    if (framed) co_return co_await refuse(c, Kind::connect, bad_request("the CONNECT request has a body"));
    co_return co_await serve_connect(c, std::move(target), alike);
  }
  if (head.target.starts_with('/')) {
    // The guard itself answers two requests of a client: whether it is alive, and a connection to the session's
    // ssh-agent. It tells the client nothing else.
    bool get = head.method == "GET" && !head.chunked && !head.content_length;
    std::string target(head.target);
    c.client.in.erase(0, head.size);
    if (get && target == "/ssh-agent") co_return co_await serve_ssh_agent(c);
    if (get && target == "/alive") co_return co_await show_life(c);
    if (!get) co_return co_await refuse(c, Kind::http, bad_request("the request is for the guard itself"));
    c.client.out =
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\nConnection: close\r\n\r\nbottle guard\n";
    co_return co_await finish(c);
  }
  co_await serve_requests(c);
}

}  // namespace

Detached serve(Context& context, int fd) {
  Connection connection(context, fd);
  co_await run(connection);
  // run() has returned, so both streams end now. Their sources are closed when `connection` is destroyed.
  connection.upstream.end_tls();
  connection.client.end_tls();
}

}  // namespace bottle::guard
