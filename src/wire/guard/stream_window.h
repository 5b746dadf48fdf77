// Bounds one stream of a guard's control channel (StreamPart), at either of its ends. Pure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "wire/guard/control.h"

namespace bottle::wire {

// Holds what has arrived from the other end until it is passed on, and counts what the other end still accepts. The
// other end may be hostile: it can neither fill the memory nor gain more credit than it was sent.
class StreamWindow {
 public:
  // Takes bytes from the other end. Returns false, and takes none, if the other end has ended its direction or did not
  // wait for acknowledgments. The stream is then to be dropped.
  bool accept(std::string_view bytes) {
    if (ended_ || waiting_.size() + bytes.size() > kStreamWindow) return false;
    waiting_ += bytes;
    return true;
  }
  // Notes that the other end sends nothing more.
  void end() { ended_ = true; }

  // Returns the bytes that have not been passed on. passed() removes the first `size` of them, and drop() all.
  std::string_view waiting() const { return waiting_; }
  void passed(size_t size) {
    waiting_.erase(0, size);
    passed_ += size;
  }
  void drop() { waiting_.clear(); }
  // Returns how many bytes to acknowledge now, if it is time to. An acknowledgment of each piece would cost too many
  // messages, and a late one would stop the other end.
  std::optional<size_t> to_acknowledge() {
    if (passed_ < kStreamWindow / 4) return std::nullopt;
    return std::exchange(passed_, 0);
  }
  // Returns whether everything before the end of the other end's direction was passed on.
  bool is_complete() const { return ended_ && waiting_.empty(); }

  // Returns how many bytes the other end accepts. sent() says that so many were sent. acknowledged() takes the other
  // end's acknowledgment, and returns how many bytes it was really sent.
  size_t room() const { return room_; }
  void sent(size_t size) { room_ -= size; }
  size_t acknowledged(uint64_t size) {
    auto real = static_cast<size_t>(std::min<uint64_t>(size, in_flight()));
    room_ += real;
    return real;
  }
  size_t in_flight() const { return kStreamWindow - room_; }

 private:
  std::string waiting_;
  size_t passed_ = 0;  // since the last acknowledgment
  size_t room_ = kStreamWindow;
  bool ended_ = false;
};

}  // namespace bottle::wire
