// Runs a function when the scope ends, unless dismiss() was called.
#pragma once

#include <utility>

namespace bottle {

// Runs `f` exactly once, in the destructor. `f` must not throw. It runs in the thread that leaves the scope.
template <typename F>
class Defer {
 public:
  explicit Defer(F f) : f_(std::move(f)) {}
  Defer(const Defer&) = delete;
  Defer& operator=(const Defer&) = delete;
  ~Defer() {
    if (armed_) f_();
  }
  // Keeps the function from running, for example if it would remove a file that is now complete.
  void dismiss() { armed_ = false; }

 private:
  F f_;
  bool armed_ = true;
};

}  // namespace bottle
