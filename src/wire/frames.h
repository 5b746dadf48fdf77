// What launcher and supervisor say to each other over a unix socket: one type byte, a length (4 bytes, big-endian),
// bytes.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace bottle::session {

enum class FrameType : char {
  input = 'i',   // → keystrokes
  resize = 'w',  // → {"rows":…,"cols":…}
  detach = 'd',  // → the terminal goes, the agent stays
  stop = 'x',    // → end the session now
  policy = 'y',  // → {"id":…,"allow":{…}} or {"id":…,"deny":"host"}: answered by an event
  job = 'j',     // → the plan and, on one machine, the values that belong to it; first frame of a start
  values = 'v',  // → {"env":…,"secrets":…}: a job's for another machine, behind it. From a launcher, empty: the other
                 // machine is the expected one
  attach = 'a',  // → {"from":N}: the agent's output from position N on; without N, its last screen
  guard = 'g',   // ↔ a line of the far guard's control channel that the near side answers; {"type":"relay"}: here I am
  ping = '?',    // → is anyone there? Answered by a pong
  pong = '!',    // ←
  output = 'o',  // ← the agent's stdout (or its terminal)
  diagnostic = 'e',  // ← the agent's stderr
  event = 'p',       // ← {"event":…}: progress and notices
  result = 'r',      // ← {"exit":…}: the session is over and everything is gone
  failure = 'f',     // ← {"code":…,"what":…,"todo":…}: it could not be
};

struct Frame {
  FrameType type;
  std::string bytes;
};

std::string encode(FrameType type, std::string_view bytes);

// Takes bytes as they come, gives whole frames. One over 80 MB is Code::limit; so is one that is read as JSON and
// longer than `words`.
class FrameReader {
 public:
  static constexpr size_t kMost = 80u << 20;
  FrameReader() = default;
  explicit FrameReader(size_t words) : words_(words) {}
  void feed(std::string_view bytes) { buffer_.append(bytes); }
  // A frame, or Code::unavailable while more bytes are needed.
  Result<Frame> next();
  // How many bytes the frame at the front still lacks, as far as is known; 0: next() has an answer.
  size_t missing() const;

 private:
  // Of the frame at the front, whose head is there.
  size_t length() const;
  size_t most() const;

  size_t words_ = kMost;
  std::string buffer_;
  size_t offset_ = 0;
};

// Blocking: one frame and not a byte more, so that whoever reads on finds the next frame whole.
Result<Frame> receive_frame(int fd);

// Blocking; Code::timed_out if the other side does not read for five seconds. Works on sockets and on pipes.
Result<> send_bytes(int fd, std::string_view bytes);
Result<> send_frame(int fd, FrameType type, std::string_view bytes);

}  // namespace bottle::session
