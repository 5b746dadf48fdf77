#include "guard/core/dialer.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "guard/protocol/http_head.h"

namespace bottle::guard {
namespace {

using policy::Endpoint;

constexpr int64_t kPatience = 20 * 1000;  // for everything
constexpr int64_t kStagger = 250;         // between attempts (RFC 8305)

// A non-blocking connect; the error is that of errno.
std::unique_ptr<Source> begin_connect(const Endpoint& to, Waker& waker) {
  sockaddr_storage storage{};
  socklen_t size;
  if (to.address.v6) {
    auto* a = reinterpret_cast<sockaddr_in6*>(&storage);
    a->sin6_family = AF_INET6;
    a->sin6_port = htons(to.port);
    std::memcpy(&a->sin6_addr, to.address.bytes.data(), 16);
    size = sizeof *a;
  } else {
    auto* a = reinterpret_cast<sockaddr_in*>(&storage);
    a->sin_family = AF_INET;
    a->sin_port = htons(to.port);
    std::memcpy(&a->sin_addr, to.address.bytes.data(), 4);
    size = sizeof *a;
  }
  UniqueFd fd(::socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return nullptr;
  int one = 1;
  setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  int result = ::connect(fd.get(), reinterpret_cast<sockaddr*>(&storage), size);
  if (result != 0 && errno != EINPROGRESS) return nullptr;
  auto source = std::make_unique<Source>();
  source->open(fd.release(), &waker, false, result == 0);
  source->watch();
  return source;
}

Task<Dialed> connect_any(Context& context, Waker& waker, std::vector<Endpoint> to, int64_t deadline, Source* client) {
  Dialed dialed;
  // IPv6 and IPv4 by turns, as they came otherwise.
  std::vector<Endpoint> order, four;
  for (const auto& each : to) (each.address.v6 ? order : four).push_back(each);
  for (size_t i = 0; i < four.size(); ++i)
    order.insert(order.begin() + static_cast<long>(std::min(order.size(), 2 * i + 1)), four[i]);
  std::vector<std::unique_ptr<Source>> attempts;
  std::string last = "no address";
  size_t next = 0;
  int64_t next_at = 0;
  while (true) {
    if (next < order.size() && (attempts.empty() || context.loop.now() >= next_at)) {
      if (auto source = begin_connect(order[next], waker)) attempts.push_back(std::move(source));
      else last = to_string(order[next]) + ": " + std::strerror(errno);
      ++next;
      next_at = context.loop.now() + kStagger;
      if (attempts.empty()) continue;
    }
    if (attempts.empty()) break;
    co_await waker.wait(next < order.size() ? std::min(deadline, next_at) : deadline);
    for (auto& attempt : attempts) {
      if (!attempt->writable) continue;
      if (attempt->broken) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(attempt->fd(), SOL_SOCKET, SO_ERROR, &error, &size);
        last = std::strerror(error ? error : ECONNRESET);
        attempt.reset();
        next_at = 0;  // no point in waiting for the stagger
        continue;
      }
      dialed.source = std::move(attempt);
      co_return dialed;
    }
    std::erase(attempts, nullptr);
    if (client && client->broken) {
      last = "the client went away";
      break;
    }
    if (context.loop.now() >= deadline) {
      dialed.status = 504;
      last = "timed out";
      break;
    }
  }
  dialed.code = "unreachable";
  dialed.reason = "connecting: " + last;
  co_return dialed;
}

Task<Dialed> ask_parent(Context& context, const std::string& authorization, Waker& waker, std::string authority,
                        Dialed dialed, int64_t deadline) {
  Stream stream;
  stream.source = std::move(dialed.source);
  stream.out = "CONNECT " + authority + " HTTP/1.1\r\nHost: " + authority + "\r\n";
  if (!authorization.empty()) stream.out += "Proxy-Authorization: " + authorization + "\r\n";
  stream.out += "\r\n";
  dialed.code = "parent_proxy";
  Head head;
  while (true) {
    bool progress = stream.flush();
    progress |= stream.fill();
    auto parsed = parse_response(stream.in, head);
    if (parsed == Parse::ok) break;
    if (parsed == Parse::bad || stream.eof || stream.failed || context.loop.now() >= deadline) {
      dialed.reason = parsed == Parse::bad ? std::string("the parent proxy's answer: ") + head.why
                                           : "the parent proxy did not answer";
      co_return dialed;
    }
    if (!progress) co_await waker.wait(deadline);
  }
  if (head.status / 100 != 2) {
    dialed.reason = "the parent proxy answered " + std::to_string(head.status);
    co_return dialed;
  }
  dialed.early = stream.in.substr(head.size);
  dialed.source = std::move(stream.source);
  co_return dialed;
}

std::string authority_of(const policy::Host& host, uint16_t port) {
  return (host.literal && host.name.find(':') != std::string::npos ? "[" + host.name + "]" : host.name) + ":" +
         std::to_string(port);
}

// By a guard of the operator's at the other end of the relay, which is asked as a proxy is.
Task<Dialed> dial_relay(Context& context, Waker& waker, policy::Host host, uint16_t port, Via via, int64_t deadline) {
  auto stream = context.relay.open();
  if (!stream) co_return Dialed{.status = 503, .code = "operator_away", .reason = stream.error().what};
  Dialed dialed;
  dialed.source = std::make_unique<Source>();
  dialed.source->open(stream->release(), &waker);
  dialed.source->watch();
  dialed.through_parent = true;
  if (via == Via::absolute) co_return dialed;
  dialed = co_await ask_parent(context, "", waker, authority_of(host, port), std::move(dialed), deadline);
  if (!dialed.source) {
    bool refused = dialed.reason.find("answered") != std::string::npos;
    dialed.status = refused ? 502 : 503;
    dialed.code = refused ? "relay" : "operator_away";
    dialed.reason = "on the operator's machine: " + dialed.reason;
  }
  co_return dialed;
}

}  // namespace

Task<Dialed> dial(Context& context, const Config& config, Waker& waker, policy::Host host, uint16_t port, Via via,
                  Source* client) {
  int64_t deadline = context.loop.now() + kPatience;
  if (config.relayed(host)) co_return co_await dial_relay(context, waker, host, port, via, deadline);
  const auto* fixed = config.fixed(host);
  const auto* ssh = config.ssh_host(host, port);
  const auto* lan = config.lan_route(host, port);
  bool through_parent = !fixed && !lan && config.parent;
  policy::Host target = through_parent ? config.parent->host : host;
  uint16_t target_port = through_parent ? config.parent->port : port;
  if (through_parent) fixed = config.fixed(target);
  // Named by the operator, not by the agent: may be private.
  bool trusted = fixed || through_parent || (ssh && host.literal);
  std::vector<Endpoint> to;
  if (lan) {
    to.push_back(lan->to);
  } else if (fixed) {
    for (Endpoint each : *fixed) {
      if (each.port == 0) each.port = target_port;
      to.push_back(each);
    }
  } else if (target.literal) {
    auto address = policy::parse_address(target.name);
    if (!trusted || !address)
      co_return Dialed{.status = 403, .code = "ip_literal", .reason = "an address instead of a name"};
    to.push_back({*address, target_port});
  } else {
    auto lookup = context.resolver.lookup(target.name, &waker);
    while (!lookup->done && context.loop.now() < deadline && !(client && client->broken)) co_await waker.wait(deadline);
    lookup->waker = nullptr;
    if (!lookup->done || lookup->addresses.empty())
      co_return Dialed{.status = lookup->done ? 502 : 504,
                       .code = "unresolved",
                       .reason = "resolving: " + (lookup->done ? lookup->error : "timed out")};
    std::string refused;
    for (const auto& address : lookup->addresses) {
      auto why = config.refusal(address);
      if (trusted || why.empty()) to.push_back({address, target_port});
      else refused = to_string(address) + " is " + std::string(why);
    }
    if (to.empty()) co_return Dialed{.status = 403, .code = "address", .reason = "the name resolves to " + refused};
  }
  Dialed dialed = co_await connect_any(context, waker, std::move(to), deadline, client);
  if (!dialed.source || !through_parent) co_return dialed;
  dialed.through_parent = true;
  if (via == Via::absolute) co_return dialed;
  co_return co_await ask_parent(context, config.parent->authorization, waker, authority_of(host, port),
                                std::move(dialed), deadline);
}

}  // namespace bottle::guard
