// Defines the coroutines. A Task<T> runs when it is awaited. A Detached coroutine starts immediately, is never
// awaited, and frees itself.
#pragma once

#include <coroutine>
#include <cstdlib>
#include <optional>
#include <utility>

namespace bottle::guard {

// Keeps what a Task returns until the coroutine that awaits it takes it.
template <typename T>
struct TaskResult {
  std::optional<T> value;
  void return_value(T result) { value.emplace(std::move(result)); }
  T take() { return std::move(*value); }
};
template <>
struct TaskResult<void> {
  void return_void() {}
  void take() {}
};

template <typename T>
class [[nodiscard]] Task {
 public:
  // The compiler requires this type of a coroutine. When the coroutine returns, `then`, which awaits it, continues
  // directly on the same stack (symmetric transfer), so that a chain of returns does not use up the stack. An
  // exception ends the process, because none may cross a coroutine.
  struct promise_type : TaskResult<T> {
    std::coroutine_handle<> then;
    // A Task runs only when it is awaited, and keeps its frame until it is destroyed, because the result is in it.
    Task get_return_object() { return Task(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_always initial_suspend() noexcept { return {}; }
    auto final_suspend() noexcept {
      struct Final {
        bool await_ready() noexcept { return false; }
        std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> handle) noexcept {
          return handle.promise().then;
        }
        void await_resume() noexcept {}
      };
      return Final{};
    }
    void unhandled_exception() { std::abort(); }
  };

  explicit Task(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&&) = delete;
  ~Task() {
    if (handle_) handle_.destroy();
  }

  // Awaiting starts the coroutine. A Task may be awaited once.
  bool await_ready() { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> caller) {
    handle_.promise().then = caller;
    return handle_;
  }
  T await_resume() { return handle_.promise().take(); }

 private:
  std::coroutine_handle<promise_type> handle_;
};

// Is the return type of a coroutine without an owner. Its frame is freed when it returns, or never if the event that
// it waits for never happens.
struct Detached {
  // A Detached coroutine runs immediately, up to its first await, and frees its frame when it returns.
  struct promise_type {
    Detached get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::abort(); }
  };
};

}  // namespace bottle::guard
