// Resolves names to addresses with c-ares, never with libc. The addresses that it returns are not checked.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "guard/net/loop.h"
#include "policy/address.h"

struct ares_channeldata;
struct ares_addrinfo;

namespace bottle::guard {

// Holds what is known about one family of a name's addresses.
struct Family {
  bool done = false;    // an answer has arrived, or the lookup has failed
  int64_t done_at = 0;  // Loop::now()
  std::vector<policy::Address> addresses;
  std::string error;  // why there are no addresses
};

// Requests A and AAAA records at the same time. The answer to either can be used without the other.
class Lookup {
 public:
  // The time in milliseconds that a name's IPv4 addresses wait for its IPv6 addresses (RFC 8305 §3).
  static constexpr int64_t kResolutionDelay = 50;
  static constexpr size_t kMostEach = 32;  // addresses of one family

  Family six, four;

  // Returns whether both families have an answer or have failed.
  bool done() const { return six.done && four.done; }
  // Returns the time (Loop::now()) from which the known addresses may be used, or kNever if nothing usable has arrived
  // yet.
  int64_t usable_at() const;
  static constexpr int64_t kNever = INT64_MAX;
  // Returns why there are no addresses at all.
  const std::string& error() const { return four.error.empty() ? six.error : four.error; }

  // Wakes `waker` whenever an answer arrives.
  class Watcher {
   public:
    Watcher(Lookup& lookup, Waker& waker) : lookup_(lookup), waker_(waker) { lookup_.wakers_.insert(&waker_); }
    ~Watcher() { lookup_.wakers_.erase(&waker_); }
    Watcher(const Watcher&) = delete;
    Watcher& operator=(const Watcher&) = delete;

   private:
    Lookup& lookup_;
    Waker& waker_;
  };

 private:
  friend class Resolver;
  std::multiset<Waker*> wakers_;
  int ttl_ = 60;  // seconds
};

// Resolves names on the event loop, so no call blocks. The agent chooses the names, so the numbers of cached and of
// pending names are limited. The loop must outlive it.
class Resolver {
 public:
  explicit Resolver(Loop& loop) : loop_(loop) {}
  ~Resolver();
  // Uses the name server "ip:port", or those of /etc/resolv.conf if `server` is empty. Restarts only if the server
  // changed.
  void use(const std::string& server);

  // Returns a lookup, which is already done if the answer is cached (for its TTL, at most 60 s). All requests for a
  // name that is being resolved share one lookup.
  std::shared_ptr<Lookup> lookup(const std::string& name);

  // Handles timeouts and retries. Call it once per turn. Returns the longest time to sleep in milliseconds, or -1 for
  // no limit.
  int turn();

 private:
  struct Known {
    int64_t expires;  // Loop::now(); Lookup::kNever until the lookup is done
    std::shared_ptr<Lookup> lookup;
  };
  void start();
  void ask(const std::string& name, const std::shared_ptr<Lookup>& lookup, int family);
  void take(const std::string& name, Lookup& lookup, Family& family, int status, ares_addrinfo* result);
  static void socket_state(void* self, int fd, int readable, int writable);

  Loop& loop_;
  std::string server_;
  bool started_ = false;
  ares_channeldata* channel_ = nullptr;
  size_t pending_ = 0;
  std::map<int, std::unique_ptr<Source>> sources_;
  std::vector<std::unique_ptr<Source>> closed_;  // an event of this turn may still refer to them
  std::map<std::string, Known> cache_;
};

}  // namespace bottle::guard
