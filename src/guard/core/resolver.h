// Names to addresses through c-ares, never through libc. What comes back is unchecked.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "guard/core/loop.h"
#include "policy/address.h"

struct ares_channeldata;

namespace bottle::guard {

struct Lookup {
  bool done = false;
  std::vector<policy::Address> addresses;
  std::string error;
  Waker* waker = nullptr;  // who waits; cleared by it when it stops waiting
};

class Resolver {
 public:
  explicit Resolver(Loop& loop) : loop_(loop) {}
  ~Resolver();
  // "ip:port", or empty for /etc/resolv.conf. Starts anew only if it changed.
  void use(const std::string& server);

  // Done at once if the answer is cached (its TTL, 60 s at most).
  std::shared_ptr<Lookup> lookup(const std::string& name, Waker* waker);

  // Once a turn: time-outs and retries. Returns the milliseconds to sleep at most, -1 for no limit.
  int turn();

 private:
  struct Cached {
    int64_t expires;
    std::vector<policy::Address> addresses;
  };
  void start();
  static void socket_state(void* self, int fd, int readable, int writable);

  Loop& loop_;
  std::string server_;
  bool started_ = false;
  ares_channeldata* channel_ = nullptr;
  size_t pending_ = 0;
  std::map<int, std::unique_ptr<Source>> sources_;
  std::vector<std::unique_ptr<Source>> closed_;  // may still be named by an event of this turn
  std::map<std::string, Cached> cache_;
};

}  // namespace bottle::guard
