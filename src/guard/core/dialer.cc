// Decides in one place to which addresses the guard connects. Names are judged before they are resolved, because the
// query to a name server already carries the name out. Each resolved address is judged before a connect, because the
// agent may control the name server of an allowed host, and could let a name lead into the machine's own networks.
// Only the parent proxy and addresses that the operator wrote down are exempt. The guard connects to the very address
// that it judged, and never resolves the name a second time.
//
// Connecting follows RFC 8305 ("Happy Eyeballs"): the next attempt begins while the earlier ones still wait, and the
// first that connects wins. Addresses of a family that arrive late join a dial that is under way.
#include "guard/core/dialer.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "base/os/descriptors.h"
#include "guard/core/judge.h"
#include "guard/net/socket_address.h"
#include "guard/net/targets.h"
#include "http/head.h"

namespace bottle::guard {
namespace {

using policy::Endpoint;

constexpr int64_t kPatience = 20 * 1000;  // for the whole dial
// The milliseconds between two attempts (RFC 8305 §5). If a host has many addresses, later attempts follow faster.
constexpr int64_t kStagger = 250, kLaterStagger = 100;
// The number of attempts that keep the longer distance.
constexpr size_t kEarly = 4;

std::unexpected<ClientError> failure(int status, std::string_view code, std::string reason) {
  return std::unexpected(ClientError{status, code, std::move(reason)});
}

// Begins a non-blocking connect. The error is in errno.
std::unique_ptr<Source> begin_connect(const Endpoint& to, bool wide, Waker& waker) {
  SocketAddress address(to);
  UniqueFd fd = open_socket(address.family(), SOCK_STREAM, Waits::no);
  if (!fd) return nullptr;
  int one = 1;
  // The guard writes whole pieces, so waiting for more bytes would only delay a request.
  setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  keep_alive(fd.get());
  if (!wide) bound_buffers(fd.get());
  int result = ::connect(fd.get(), address.get(), address.size());
  if (result != 0 && errno != EINPROGRESS) return nullptr;
  auto source = std::make_unique<Source>();
  source->open(fd.release(), &waker, {.read = false, .write = result == 0});
  source->watch();
  return source;
}

// Collects the checked addresses of one dial as they become known.
struct Addresses {
  const Config* config = nullptr;
  uint16_t port = 0;
  bool trusted = false;            // private addresses are allowed too
  std::shared_ptr<Lookup> lookup;  // null if all addresses are known
  Targets targets;
  std::string refused;  // why the last refused address was refused

  void update() {
    if (!lookup) return;
    take(lookup->six, six_taken_);
    take(lookup->four, four_taken_);
  }
  bool complete() const { return !lookup || lookup->done(); }

 private:
  // Takes the addresses of a family once, when its answer has arrived.
  void take(const Family& family, bool& taken) {
    if (taken || !family.done) return;
    taken = true;
    for (const auto& address : family.addresses) {
      auto why = config->refusal(address);
      if (trusted || why.empty()) targets.add({address, port});
      else refused = to_string(address) + " is " + std::string(why);
    }
  }
  bool six_taken_ = false, four_taken_ = false;
};

std::string connect_error(const Source& attempt) {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(attempt.fd(), SOL_SOCKET, SO_ERROR, &error, &size);
  return std::strerror(error ? error : ECONNRESET);
}

// Begins attempts one after the other. The first one that connects wins.
Task<DialResult> connect_any(Context& context, Waker& waker, Addresses& to, int64_t deadline, Source* client) {
  int status = 502;
  std::vector<std::unique_ptr<Source>> attempts;
  std::string last = "the name has no address";
  size_t begun = 0;
  int64_t next_at = 0;
  bool full = false;  // there was no descriptor for the last attempt
  while (true) {
    to.update();
    while (to.targets.more() && (attempts.empty() || context.loop.now() >= next_at)) {
      Endpoint next = to.targets.next();
      next_at = context.loop.now() + (++begun < kEarly ? kStagger : kLaterStagger);
      if (auto source = begin_connect(next, context.connections <= kWideConnections, waker)) {
        attempts.push_back(std::move(source));
        continue;
      }
      full = errno == EMFILE || errno == ENFILE;
      last = to_string(next) + ": " + std::strerror(errno);
    }
    // All attempts have failed or could not begin, and no more addresses will come.
    if (attempts.empty() && to.complete()) {
      if (full) co_return failure(503, kTooMany, "connecting failed: " + last);
      break;
    }
    // Any event wakes this: a connect that ended, an answer of the resolver, or the client.
    co_await waker.wait(to.targets.more() ? std::min(deadline, next_at) : deadline);
    for (auto& attempt : attempts) {
      // A socket whose connect has ended is writable, even after a failure, which then shows as an error of the socket.
      if (!attempt->ready.write) continue;
      if (attempt->is_gone()) {
        last = connect_error(*attempt);
        attempt.reset();
        next_at = 0;  // another attempt need not wait for the stagger
        continue;
      }
      co_return Dialed{.source = std::move(attempt)};
    }
    std::erase(attempts, nullptr);
    if (client && client->is_gone()) {
      last = "the client closed the connection";
      break;
    }
    if (context.loop.now() >= deadline) {
      status = 504;
      last = "timed out";
      break;
    }
  }
  co_return failure(status, "unreachable", "connecting failed: " + last);
}

// Describes a proxy that is asked for a tunnel, and the answers for the client if the proxy does not open one.
struct Proxy {
  struct Failure {
    int status;
    std::string_view code;
  };
  std::string name;                // for the operator
  Failure refused, silent;         // silent: the proxy did not answer
  std::string authorization = {};  // the value of Proxy-Authorization, or empty
};

// Asks the proxy at the other end of `dialed.source` for a tunnel.
Task<DialResult> ask_proxy(Context& context, Proxy proxy, Waker& waker, std::string authority, Dialed dialed,
                           int64_t deadline) {
  Stream stream;
  stream.source = std::move(dialed.source);
  stream.out = "CONNECT " + authority + " HTTP/1.1\r\nHost: " + authority + "\r\n";
  if (!proxy.authorization.empty()) stream.out += "Proxy-Authorization: " + proxy.authorization + "\r\n";
  stream.out += "\r\n";
  auto failed = [&](const Proxy::Failure& how, const std::string& reason) {
    return failure(how.status, how.code, proxy.name + reason);
  };
  http::Head head;
  http::ArrivingHead arriving;
  while (true) {
    bool progress = stream.flush();
    progress |= stream.fill();
    // The parser bounds the head, so a proxy cannot fill the memory.
    auto parsed = arriving.read(stream.in, [&] { return http::parse_response(stream.in, head); });
    if (parsed == Parse::ok) break;
    if (parsed == Parse::bad)
      co_return failed(proxy.refused, std::string(" sent an answer that is not HTTP: ") + head.why);
    if (stream.eof || stream.failed || context.loop.now() >= deadline)
      co_return failed(proxy.silent, " did not answer");
    if (!progress) co_await waker.wait(deadline);
  }
  if (head.status / 100 != 2) {
    bool login = head.status == 407 || head.status == 401;  // some proxies answer 401 to a wrong password
    co_return failed(proxy.refused,
                     " answered " + std::to_string(head.status) + (login ? std::string(kParentWantsLogin) : ""));
  }
  // A server that speaks first, such as one of ssh, may send together with the proxy's answer.
  dialed.early = stream.in.substr(head.size);
  dialed.source = std::move(stream.source);
  co_return dialed;
}

// Dials through a stream to the near side, whose broker acts as a proxy.
Task<DialResult> dial_near_side(Context& context, Waker& waker, policy::Host host, uint16_t port, Via via,
                                int64_t deadline) {
  auto stream = context.near_side.open();
  if (!stream) co_return failure(503, "operator_away", stream.error().what);
  Dialed dialed{.source = std::make_unique<Source>()};
  // The socket counts as connected, because its other end is in this process. The broker answers later.
  dialed.source->open(stream->release(), &waker);
  dialed.source->watch();
  dialed.through_parent = true;
  if (via == Via::absolute) co_return dialed;
  Proxy guard{"the guard on the operator's machine", {502, "relay"}, {503, "operator_away"}};
  co_return co_await ask_proxy(context, std::move(guard), waker, authority_of(host, port), std::move(dialed), deadline);
}

// Waits until the first addresses are known. Returns an error if there are none.
Task<std::optional<ClientError>> resolved(Context& context, Waker& waker, Addresses& to, int64_t deadline,
                                          Source* client) {
  if (!to.lookup) co_return std::nullopt;
  Lookup& lookup = *to.lookup;
  auto now = [&] { return context.loop.now(); };
  while (true) {
    while (now() < lookup.usable_at() && now() < deadline && !(client && client->is_gone()))
      co_await waker.wait(std::min(deadline, lookup.usable_at()));
    to.update();
    if (to.targets.more()) co_return std::nullopt;
    // The addresses so far cannot be used, but those of the other family may be.
    if (lookup.done() || now() >= deadline || (client && client->is_gone())) break;
    co_await waker.wait(deadline);
  }
  if (!to.refused.empty()) co_return ClientError{403, "address", "the name resolves to " + to.refused};
  co_return ClientError{lookup.done() ? 502 : 504, "unresolved",
                        "resolving the name failed: " + (lookup.done() ? lookup.error() : "timed out")};
}

}  // namespace

std::string carried(Context& context, const Config& config, const policy::Host& host) {
  if (auto why = carried_by_name(config, host); !why.empty()) return about_carrier(why);
  if (names_secret(config, host)) return std::string(kNamesSecret);
  if (is_written_out(config, host)) return {};
  std::chrono::steady_clock::time_point now{std::chrono::milliseconds(context.loop.now())};
  if (context.names.too_many(host.name, now))
    return "too many different names below " + std::string(scan::registered_domain(host.name)) +
           " within 10 minutes, which can carry data out; to allow this name, add a rule for the full name";
  return {};
}

std::string authority_of(const policy::Host& host, uint16_t port, uint16_t usual) {
  bool v6 = host.literal && host.name.find(':') != std::string::npos;
  return (v6 ? "[" + host.name + "]" : host.name) + (port == usual ? "" : ":" + std::to_string(port));
}

Task<DialResult> dial(Context& context, const Config& config, Waker& waker, policy::Host host, uint16_t port, Via via,
                      Source* client) {
  int64_t deadline = context.loop.now() + kPatience;
  if (!config.fixed(host) && !config.lan_route(host, port))
    if (auto why = carried(context, config, host); !why.empty()) co_return failure(403, "name_carries_data", why);
  // The broker judges the addresses, because only it resolves the name.
  if (config.relayed(host)) co_return co_await dial_near_side(context, waker, host, port, via, deadline);
  const auto* fixed = config.fixed(host);
  const auto* ssh = config.ssh_host(host, port);
  const auto* lan = config.lan_route(host, port);
  bool through_parent = !fixed && !lan && config.parent;
  policy::Host target = through_parent ? config.parent->host : host;
  uint16_t target_port = through_parent ? config.parent->port : port;
  // `hosts` may also fix the address of the parent proxy.
  if (through_parent) fixed = config.fixed(target);
  // The operator named the parent proxy, not the agent, so its address may be private.
  Addresses to;
  to.config = &config;
  to.port = target_port;
  to.trusted = fixed || through_parent || (ssh && host.literal);
  if (lan) {
    to.targets.add(lan->to);
  } else if (fixed) {
    for (Endpoint each : *fixed) {
      if (each.port == 0) each.port = target_port;
      to.targets.add(each);
    }
  } else if (target.literal) {
    auto address = policy::parse_address(target.name);
    if (!to.trusted || !address) co_return failure(403, "ip_literal", "the destination is an IP address, not a name");
    to.targets.add({*address, target_port});
  } else {
    to.lookup = context.resolver.lookup(target.name);
  }
  std::optional<Lookup::Watcher> watcher;
  if (to.lookup) watcher.emplace(*to.lookup, waker);
  if (auto failed = co_await resolved(context, waker, to, deadline, client))
    co_return std::unexpected(std::move(*failed));
  DialResult dialed = co_await connect_any(context, waker, to, deadline, client);
  if (!dialed || !through_parent) co_return dialed;
  dialed->through_parent = true;
  if (via == Via::absolute) co_return dialed;
  Proxy parent{"the parent proxy", {502, "parent_proxy"}, {502, "parent_proxy"}, config.parent->authorization};
  co_return co_await ask_proxy(context, std::move(parent), waker, authority_of(host, port), std::move(*dialed),
                               deadline);
}

}  // namespace bottle::guard
