#include "session/stream.h"

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <future>
#include <memory>

#include "base/file.h"
#include "base/unique_fd.h"

namespace bottle::session {

Result<> pipe_through(const std::function<Result<>(const Sink&)>& produce, const std::function<Result<>(const Source&)>& consume) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("making a pipe");
  UniqueFd in(ends[0]), out(ends[1]);
  Result<> failed;  // written by the producer before its end closes, read after the join
  auto producer = std::async(std::launch::async, [&]() -> Result<> {
    UniqueFd mine = std::move(out);
    failed = produce([&](std::string_view bytes) { return write_all(mine.get(), bytes); });
    return failed;
  });
  bool torn = false;
  auto consumed = consume([&](char* buffer, size_t size) -> Result<size_t> {
    ssize_t n;
    do n = ::read(in.get(), buffer, size);
    while (n < 0 && errno == EINTR);
    if (n < 0) return fail_errno("reading a pipe");
    if (n == 0) {
      // The end of the pipe is the end of the stream only if the producer says it was whole.
      auto result = producer.get();
      torn = true;
      if (!result) return std::unexpected(result.error());
    }
    return static_cast<size_t>(n);
  });
  in.reset();
  Result<> produced = torn ? failed : producer.get();
  if (!produced && produced.error().code != Code::closed) return produced;
  return consumed;
}

Source told(const Source& source, const std::string& what, const std::function<void(const std::string&)>& tell) {
  using Clock = std::chrono::steady_clock;
  struct State {
    uint64_t bytes = 0;
    Clock::time_point next = Clock::now() + std::chrono::seconds(2);
  };
  return [=, state = std::make_shared<State>()](char* buffer, size_t size) -> Result<size_t> {
    size_t n = TRY(source(buffer, size));
    state->bytes += n;
    if (auto now = Clock::now(); now > state->next) {
      tell(what + ": " + std::to_string(state->bytes >> 20) + " MB");
      state->next = now + std::chrono::seconds(2);
    }
    return n;
  };
}

}  // namespace bottle::session
