// Names to addresses through c-ares, never through libc. What comes back is unchecked.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "guard/core/loop.h"
#include "policy/address.h"

struct ares_channeldata;
struct ares_addrinfo;

namespace bottle::guard {

// What is known of one family of a name's addresses.
struct Family {
  bool done = false;    // answered, or given up
  int64_t done_at = 0;  // Loop::now()
  std::vector<policy::Address> addresses;
  std::string error;  // why there are none
};

// A and AAAA records are asked for at the same time, and each may be used without the other.
class Lookup {
 public:
  // How long a name's IPv4 addresses wait for its IPv6 addresses (RFC 8305 §3), in milliseconds.
  static constexpr int64_t kResolutionDelay = 50;
  static constexpr size_t kMostEach = 32;  // addresses of a family

  Family six, four;

  bool done() const { return six.done && four.done; }
  // From when on (Loop::now()) what is there may be used. kNever: something has to come first.
  int64_t usable_at() const;
  static constexpr int64_t kNever = INT64_MAX;
  // Why there are no addresses at all.
  const std::string& error() const { return four.error.empty() ? six.error : four.error; }

  // Wakes `waker` whenever something comes.
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

class Resolver {
 public:
  explicit Resolver(Loop& loop) : loop_(loop) {}
  ~Resolver();
  // "ip:port", or empty for /etc/resolv.conf. Starts anew only if it changed.
  void use(const std::string& server);

  // Done at once if the answer is cached (its TTL, 60 s at most). Who asks for a name that is being asked for gets the
  // same lookup.
  std::shared_ptr<Lookup> lookup(const std::string& name);

  // Once a turn: time-outs and retries. Returns the milliseconds to sleep at most, -1 for no limit.
  int turn();

 private:
  struct Known {
    int64_t expires;  // Loop::now(); Lookup::kNever while it is not done
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
  std::vector<std::unique_ptr<Source>> closed_;  // may still be named by an event of this turn
  std::map<std::string, Known> cache_;
};

}  // namespace bottle::guard
