// The producer runs on its own thread, and the consumer on the caller's. Between them is a buffer of at most 8 MB.
// The reader takes the whole buffer by swapping two strings, so it holds the lock only briefly, and the producer can
// fill the other string meanwhile. The end of the buffer is not the end of the stream: only the producer's result
// tells a complete stream from one that failed halfway, so the consumer sees the end only after that result is known.

#include "base/stream.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <optional>

#include "base/defer.h"

namespace bottle {

namespace {

constexpr size_t kAhead = 8 << 20;  // bytes

// The bounded buffer between producer and consumer. It tells each side when the other has stopped.
class Buffer {
 public:
  Result<> put(std::string_view bytes) {
    std::unique_lock lock(mutex_);
    while (!bytes.empty()) {
      // The limit covers only held_. Together with taken_, up to 16 MB may be in memory for a moment.
      changed_.wait(lock, [&] { return held_.size() < kAhead || closed_; });
      if (closed_) return fail(Code::closed, "the reader closed the stream");
      size_t n = std::min(bytes.size(), kAhead - held_.size());
      held_.append(bytes.substr(0, n));
      bytes.remove_prefix(n);
      changed_.notify_all();
    }
    return {};
  }

  // Returns 0 at the end. Fails if the stream was broken.
  Result<size_t> take(char* to, size_t size) {
    std::unique_lock lock(mutex_);
    if (at_ == taken_.size()) changed_.wait(lock, [&] { return !held_.empty() || ended_ || broken_; });
    // After a stop, the rest of the buffer is not read.
    if (broken_) return fail(Code::canceled, "the stream was interrupted");
    if (at_ == taken_.size()) {
      taken_.clear();
      at_ = 0;
      taken_.swap(held_);
      changed_.notify_all();
    }
    // At the end of the stream, taken_ is empty, and so is the result.
    size_t n = std::min(size, taken_.size() - at_);
    taken_.copy(to, n, at_);
    at_ += n;
    return n;
  }

  void end() { set(ended_); }
  void close() { set(closed_); }
  // Both sides must notice: the reader by broken_, and the writer by closed_.
  void break_off() {
    set(broken_);
    close();
  }

 private:
  // The lock is needed, because the other side may be between its check and its wait.
  void set(bool& what) {
    std::scoped_lock lock(mutex_);
    what = true;
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::string held_, taken_;  // taken_ belongs to the reader, from at_ on
  size_t at_ = 0;
  bool ended_ = false, closed_ = false, broken_ = false;
};

}  // namespace

// The consumer's source reads the buffer until it ends, and only then looks at the producer's result. A consumer that
// returns early closes the buffer, which ends the producer.
Result<> pipe_through(const std::function<Result<>(const Sink&)>& produce,
                      const std::function<Result<>(const Source&)>& consume, const std::stop_token& stop) {
  Buffer buffer;
  std::stop_callback break_off(stop, [&] { buffer.break_off(); });
  auto producer = std::async(std::launch::async, [&]() -> Result<> {
    Defer end([&] { buffer.end(); });
    return produce([&](std::string_view bytes) { return buffer.put(bytes); });
  });
  // Declared after the future, whose destructor waits for the producer: if `consume` throws (for example, because
  // memory is short), the buffer is closed first, and a producer that waits for space returns.
  Defer close([&] { buffer.close(); });
  std::optional<Result<>> produced;
  auto consumed = consume([&](char* to, size_t size) -> Result<size_t> {
    size_t n = TRY(buffer.take(to, size));
    if (n > 0) return n;
    // The end of the buffer is the end of the stream only if the producer succeeded.
    if (!produced) produced = producer.get();
    if (!*produced) return std::unexpected(produced->error());
    return 0;
  });
  // The consumer may return early. A producer that waits for space then fails with Code::closed instead of waiting
  // forever.
  buffer.close();
  if (!produced) produced = producer.get();
  // The producer's error comes first, because it is the cause. Code::closed is the exception: the consumer left first.
  if (!*produced && produced->error().code != Code::closed) return *produced;
  return consumed;
}

Source source_of(std::string_view text) {
  return [text](char* buffer, size_t size) mutable -> Result<size_t> {
    size_t n = text.copy(buffer, size);
    text.remove_prefix(n);
    return n;
  };
}

Sink sink_to(std::string& text) {
  return [&text](std::string_view bytes) -> Result<> {
    text += bytes;
    return {};
  };
}

// Reports come from the reader's side, so a stream that has stalled reports nothing.
Source with_progress(const Source& source, const std::string& what, const Progress& progress) {
  using Clock = std::chrono::steady_clock;
  struct State {
    uint64_t bytes = 0;
    Clock::time_point next = Clock::now() + std::chrono::seconds(2);
  };
  // The state is shared, because a std::function may be copied.
  return [=, state = std::make_shared<State>()](char* buffer, size_t size) -> Result<size_t> {
    size_t n = TRY(source(buffer, size));
    state->bytes += n;
    if (auto now = Clock::now(); now > state->next) {
      progress(what + ": " + std::to_string(state->bytes >> 20) + " MB");
      state->next = now + std::chrono::seconds(2);
    }
    return n;
  };
}

}  // namespace bottle
