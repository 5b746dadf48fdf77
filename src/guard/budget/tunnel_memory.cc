#include "guard/budget/tunnel_memory.h"

namespace bottle::guard {

TunnelMemory::Share::Share(TunnelMemory& all, std::function<size_t()> measure, std::function<void()> end)
    : all_(all), measure_(std::move(measure)), end_(std::move(end)) {
  all_.by_size_.insert({held_, this});
}

TunnelMemory::Share::~Share() { leave(); }

void TunnelMemory::Share::update(int64_t now) {
  if (!counts_) return;
  remeasure(now);
  all_.relieve(now);
}

void TunnelMemory::Share::remeasure(int64_t now) {
  measured_ = now;
  size_t size = measure_();
  if (size == held_) return;
  auto node = all_.by_size_.extract({held_, this});
  node.value().first = size;
  all_.by_size_.insert(std::move(node));
  all_.total_ += size - held_;  // wraps, so a smaller size subtracts
  held_ = size;
}

void TunnelMemory::Share::leave() {
  if (!std::exchange(counts_, false)) return;
  all_.by_size_.erase({held_, this});
  all_.total_ -= held_;
}

void TunnelMemory::relieve(int64_t now) {
  while (total_ > most_ && !by_size_.empty()) {
    Share& largest = *by_size_.rbegin()->second;
    if (now - largest.measured_ >= kFreshMs) {
      largest.remeasure(now);
    } else {
      largest.leave();  // it frees its memory in this turn of the loop
      largest.end_();
    }
  }
}

}  // namespace bottle::guard
