// Decides which tunnels end when the kernel holds too much for all of them, in sockets and pipes, because peers do not
// read. The agent decides how many tunnels there are and how much they carry, and the kernel counts these bytes as
// memory of the guard's container.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <utility>

namespace bottle::guard {

// Adds up what the tunnels hold. A tunnel is measured when it calls update(). Nothing tells the guard when a peer has
// read, so others may hold less than when they were measured: before a tunnel ends, it is measured again, unless it was
// measured in the last kFreshMs. So a flood of updates costs each tunnel one measurement in that time.
class TunnelMemory {
 public:
  explicit TunnelMemory(size_t most) : most_(most) {}
  TunnelMemory(const TunnelMemory&) = delete;
  TunnelMemory& operator=(const TunnelMemory&) = delete;

  static constexpr int64_t kFreshMs = 20;

  // Stands for what one tunnel holds, which counts until the tunnel is told to end or this object is destroyed.
  class Share {
   public:
    // `measure` returns what the tunnel holds now, in bytes. `end` is called at most once, from an update() of any
    // tunnel. It must not destroy a Share, and the tunnel must free its memory soon afterward.
    Share(TunnelMemory& all, std::function<size_t()> measure, std::function<void()> end);
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;
    ~Share();
    // Measures this tunnel. As long as all hold too much, ends the one that holds the most, which may be this one.
    // `now` is in monotonic milliseconds.
    void update(int64_t now);

   private:
    friend class TunnelMemory;
    void remeasure(int64_t now);
    void leave();

    TunnelMemory& all_;
    std::function<size_t()> measure_;
    std::function<void()> end_;
    size_t held_ = 0;
    int64_t measured_ = 0;
    bool counts_ = true;
  };

  // Returns whether the tunnels hold so much that pipes must not grow.
  bool is_crowded() const { return total_ > most_ / 2; }

 private:
  void relieve(int64_t now);

  size_t most_, total_ = 0;
  std::set<std::pair<size_t, Share*>> by_size_;
};

}  // namespace bottle::guard
