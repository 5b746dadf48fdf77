// Puts c-ares on the guard's event loop. c-ares opens its own sockets and reports through `socket_state` which of
// them it waits for. turn() runs its timeouts, because the loop has timers only for Wakers.
//
// Each family has a separate request instead of one for AF_UNSPEC, because an answer for one family must be usable
// even if the name server never answers for the other. The cache holds a lookup from the moment it begins, so that
// the requests that a client makes at the same time for one name cause only one query.
#include "guard/net/resolver.h"

#include <ares.h>
#include <netinet/in.h>
#include <sys/time.h>

#include <algorithm>
#include <cstring>

namespace bottle::guard {

Resolver::~Resolver() {
  if (channel_) ares_destroy(channel_);
}

void Resolver::use(const std::string& server) {
  if (server == server_ && started_) return;
  server_ = server;
  // Another name server may give other answers, so a new configuration must not use the old ones.
  cache_.clear();
  if (channel_) ares_destroy(std::exchange(channel_, nullptr));  // pending lookups end with an error
  started_ = true;
}

// Starts c-ares at the first name and not at startup, because reading resolv.conf and seeding cost time and memory.
void Resolver::start() {
  ares_options options{};
  // The names of requests are full names. A search list of the machine could turn them into others that no rule has
  // judged, and HOSTALIASES could as well.
  options.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES;
  options.timeout = 1000;  // doubles with each further try
  options.tries = 4;
  char lookups[] = "b";  // DNS only, no hosts file
  options.lookups = lookups;
  options.sock_state_cb = socket_state;
  options.sock_state_cb_data = this;
  int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB;
  if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS ||
      ares_init_options(&channel_, &options, mask) != ARES_SUCCESS) {
    channel_ = nullptr;
    return;
  }
  if (!server_.empty()) ares_set_servers_ports_csv(channel_, server_.c_str());
}

// c-ares calls this when what it waits for on a socket changes, and before it closes one.
void Resolver::socket_state(void* self, int fd, int readable, int writable) {
  auto& resolver = *static_cast<Resolver*>(self);
  auto found = resolver.sources_.find(fd);
  if (!readable && !writable) {
    if (found == resolver.sources_.end()) return;
    resolver.loop_.events().forget(fd);
    resolver.closed_.push_back(std::move(found->second));
    resolver.sources_.erase(found);
    return;
  }
  constexpr uint32_t kGone = EventQueue::kError | EventQueue::kHangUp;
  if (found == resolver.sources_.end()) {
    // The descriptor belongs to c-ares. The Source only refers to it in the reactor.
    auto source = std::make_unique<Source>();
    // An earlier event of the same batch may have closed the channel or the socket.
    source->on_event = [&resolver, fd](uint32_t events) {
      if (!resolver.channel_ || !resolver.sources_.contains(fd)) return;
      bool in = events & (EventQueue::kIn | kGone), out = events & (EventQueue::kOut | kGone);
      ares_process_fd(resolver.channel_, in ? fd : ARES_SOCKET_BAD, out ? fd : ARES_SOCKET_BAD);
    };
    found = resolver.sources_.emplace(fd, std::move(source)).first;
  }
  resolver.loop_.events().watch(fd, found->second.get(),
                                (readable ? EventQueue::kIn : 0u) | (writable ? EventQueue::kOut : 0u));
}

namespace {

struct Request {
  Resolver* resolver;
  std::function<void(int status, ares_addrinfo* result)> done;
};

// c-ares calls this exactly once for each request: with an error when the channel is destroyed, and sometimes from
// within ares_getaddrinfo.
void finished(void* argument, int status, int, ares_addrinfo* result) {
  std::unique_ptr<Request> request(static_cast<Request*>(argument));
  request->done(status, result);
  if (result) ares_freeaddrinfo(result);
}

}  // namespace

int64_t Lookup::usable_at() const {
  if (done() || (six.done && !six.addresses.empty())) return 0;
  return four.done && !four.addresses.empty() ? four.done_at + kResolutionDelay : kNever;
}

std::shared_ptr<Lookup> Resolver::lookup(const std::string& name) {
  if (auto found = cache_.find(name); found != cache_.end() && found->second.expires > loop_.now())
    return found->second.lookup;
  auto lookup = std::make_shared<Lookup>();
  if (!channel_) start();
  // Under a wildcard rule, the agent chooses the names, so without a limit it could fill the memory with them.
  if (!channel_ || pending_ >= 1024) {
    lookup->four.error =
        channel_ ? "too many names are being resolved at the same time" : "the resolver could not be started";
    lookup->four.done = lookup->six.done = true;
    return lookup;
  }
  // Lookups that are under way go on, because their requests hold them.
  if (cache_.size() >= 1024) cache_.clear();
  cache_[name] = {Lookup::kNever, lookup};
  pending_ += 2;
  ask(name, lookup, AF_INET6);
  ask(name, lookup, AF_INET);
  return lookup;
}

void Resolver::ask(const std::string& name, const std::shared_ptr<Lookup>& lookup, int family) {
  auto* request = new Request{this, [this, lookup, name, family](int status, ares_addrinfo* result) {
                                take(name, *lookup, family == AF_INET ? lookup->four : lookup->six, status, result);
                              }};
  // Sorting by RFC 6724 would open a socket for each address. Targets decides the order.
  ares_addrinfo_hints hints{
      .ai_flags = ARES_AI_NOSORT, .ai_family = family, .ai_socktype = SOCK_STREAM, .ai_protocol = 0};
  ares_getaddrinfo(channel_, name.c_str(), nullptr, &hints, finished, request);
}

// Takes the answer for one family, and wakes everything that waits for it.
void Resolver::take(const std::string& name, Lookup& lookup, Family& family, int status, ares_addrinfo* result) {
  --pending_;
  family.done = true;
  family.done_at = loop_.now();
  for (auto* node = result ? result->nodes : nullptr; node; node = node->ai_next) {
    policy::Address address;
    if (node->ai_family == AF_INET) {
      std::memcpy(address.bytes.data(), &reinterpret_cast<sockaddr_in*>(node->ai_addr)->sin_addr, 4);
    } else if (node->ai_family == AF_INET6) {
      address.v6 = true;
      std::memcpy(address.bytes.data(), &reinterpret_cast<sockaddr_in6*>(node->ai_addr)->sin6_addr, 16);
    } else {
      continue;
    }
    lookup.ttl_ = std::min(lookup.ttl_, node->ai_ttl);
    if (family.addresses.size() < Lookup::kMostEach) family.addresses.push_back(address);
  }
  if (family.addresses.empty()) family.error = ares_strerror(status == ARES_SUCCESS ? ARES_ENODATA : status);
  // The cache may hold a newer lookup of the same name, if it was cleared in the meantime. Failures are not kept, so
  // the next request asks again.
  if (auto found = cache_.find(name); lookup.done() && found != cache_.end() && found->second.lookup.get() == &lookup) {
    bool any = !lookup.six.addresses.empty() || !lookup.four.addresses.empty();
    if (any && lookup.ttl_ > 0) found->second.expires = loop_.now() + lookup.ttl_ * 1000;
    else cache_.erase(found);
  }
  for (Waker* each : lookup.wakers_) each->wake();
}

int Resolver::turn() {
  closed_.clear();
  if (!channel_ || pending_ == 0) return -1;
  // Without a socket, this call only runs timeouts and retries.
  ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
  timeval most{5, 0}, left;
  timeval* t = ares_timeout(channel_, &most, &left);
  return static_cast<int>(t->tv_sec * 1000 + t->tv_usec / 1000 + 1);
}

}  // namespace bottle::guard
