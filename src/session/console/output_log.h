// Keeps the agent's latest output by position, so that a client that reconnects sees what it missed.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "wire/frames/frames.h"
#include "wire/request.h"

namespace bottle::session {

// Remembers an agent's output. Every supervisor has one; a far supervisor also saves it at the end, for a near side
// that reconnects too late.
class OutputLog {
 public:
  explicit OutputLog(size_t limit = 4 << 20) : limit_(limit) {}

  // Appends output. `type` is output or diagnostic.
  void append(wire::FrameType type, std::string_view bytes);
  // Returns the number of bytes of both streams since the session began.
  uint64_t end() const { return end_; }
  // Passes the output from position `from` on to `to`, and skips output that is no longer kept. Returns the position
  // at which it began.
  uint64_t replay(uint64_t from, const std::function<void(wire::FrameType, std::string_view)>& to) const;
  // Returns the position at which the last `bytes` bytes begin.
  uint64_t tail(size_t bytes) const { return end_ > bytes ? end_ - bytes : 0; }
  // Returns the frames that answer this request.
  std::string answer(const wire::Attach& attach) const;

  // Saves the log to a file, and reads it back. load() fails if the file is larger than 64 MB or does not begin with a
  // position.
  Result<> save(const std::string& path) const;
  static Result<OutputLog> load(const std::string& path);

 private:
  struct Piece {
    wire::FrameType type;
    std::string bytes;
  };
  size_t limit_;
  std::deque<Piece> pieces_;
  uint64_t begin_ = 0, end_ = 0;
};

}  // namespace bottle::session
