// What the agent has said lately, by position, so that whoever comes back sees what was missed.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "wire/frames.h"
#include "wire/request.h"

namespace bottle::session {

class OutputLog {
 public:
  explicit OutputLog(size_t limit = 4 << 20) : limit_(limit) {}

  // `type` is output or diagnostic.
  void append(FrameType type, std::string_view bytes);
  // Bytes since the session began, both streams together.
  uint64_t end() const { return end_; }
  // Hands out what was said from position `from` on; what is no longer there is skipped. Where it really began.
  uint64_t replay(uint64_t from, const std::function<void(FrameType, std::string_view)>& to) const;
  // The position from which a terminal's last `bytes` bytes begin.
  uint64_t tail(size_t bytes) const { return end_ > bytes ? end_ - bytes : 0; }
  // The frames that answer this request.
  std::string answer(const wire::Attach& attach) const;

  // As a file, and back.
  Result<> save(const std::string& path) const;
  static Result<OutputLog> load(const std::string& path);

 private:
  struct Piece {
    FrameType type;
    std::string bytes;
  };
  size_t limit_;
  std::deque<Piece> pieces_;
  uint64_t begin_ = 0, end_ = 0;
};

}  // namespace bottle::session
