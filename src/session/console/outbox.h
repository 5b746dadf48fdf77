// Holds the frames for one reader, such as a client, which may read slowly, or not at all for a while.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "wire/frames/frames.h"

namespace bottle::session {

// Keeps frames until the client reads them, so that nothing waits for a client. It keeps the agent's output up to a
// bound. Beyond that, it drops output until half of the bound is free again, and then an event says how many bytes
// are missing. All other frames are always kept, so if the reader can make their number grow, as a far machine can, its
// user must check size().
class Outbox {
 public:
  static constexpr size_t kMost = 64u << 20;  // bytes

  explicit Outbox(size_t most = kMost) : most_(most) {}

  // Adds a frame, or only counts its bytes if it is output beyond the bound. Does not send.
  void add(wire::FrameType type, std::string_view bytes);
  // Adds a frame that is sent before all others of which nothing was sent yet.
  void add_first(wire::FrameType type, std::string_view bytes);
  // Adds whole frames that are encoded already.
  void add_encoded(std::string frames);

  // Sends as much as the reader takes without blocking. `fd` is a socket, or a pipe with O_NONBLOCK. Fails if the
  // connection is gone.
  Result<> flush(int fd);

  // Returns whether everything was sent.
  bool empty() const { return frames_.empty(); }
  size_t size() const { return size_; }  // bytes that are kept

 private:
  void tell_missed();

  size_t most_, size_ = 0;
  size_t sent_ = 0;  // bytes of the first entry that were sent
  uint64_t missed_ = 0;
  std::deque<std::string> frames_;
};

}  // namespace bottle::session
