// Checks a future without waiting for it.
#pragma once

#include <chrono>
#include <future>

namespace bottle {

// Returns false if the future is not ready, or if it has no shared state.
template <class T>
bool is_ready(const std::future<T>& future) {
  return future.valid() && future.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
}

}  // namespace bottle
