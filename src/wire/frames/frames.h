// Defines the frames that launcher and supervisor exchange over a Unix socket. A frame has a type byte, a length (4
// bytes, big-endian), and the bytes. An arrow → marks a frame to the supervisor, ← a frame from it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace bottle::wire {

// Says what a frame contains. The letters are part of the protocol.
enum class FrameType : char {
  input = 'i',       // → keystrokes; ← kInputWaits or kInputGoes: whether a far side's agent reads what comes
  resize = 'w',      // → {"rows":…,"cols":…}
  detach = 'd',      // → the terminal detaches; the agent continues
  stop = 'x',        // → end the session now
  policy = 'y',      // → {"id":…,"allow":{…}} or {"id":…,"deny":"host"}; answered by an event
  job = 'j',         // → the plan and, for a session on this machine, its values; the first frame of a start
  values = 'v',      // → {"env":…,"secrets":…}: values of a job for a remote machine, sent after it. Empty from a
                     // launcher: the remote machine is the expected one
  attach = 'a',      // → {"from":N}: requests the agent's output from position N, or its last screen if there is no N
  guard = 'g',       // ↔ a line of the far guard's control channel that the near side answers; {"type":"relay"}
                     // announces a near side
  metrics = 'm',     // ↔ asks for the session's counters; the answer is {"guard_up":…}
  decisions = 'n',   // ↔ {"from":N}: asks for the latest decisions; the answer is {"from":…,"decisions":…}
  ping = '?',        // → asks whether the other side is alive; answered by a pong
  pong = '!',        // ← answers a ping
  output = 'o',      // ← the agent's stdout (or its terminal)
  diagnostic = 'e',  // ← the agent's stderr
  event = 'p',       // ← {"event":…}: progress and notices
  result = 'r',      // ← {"exit":…}: the session is over and everything is removed
  failure = 'f',     // ← {"code":…,"what":…,"todo":…}: the session failed
};

// What a far side says about the agent's input. It repeats the first of them every second, as long as it is true.
inline constexpr std::string_view kInputWaits = "waits", kInputGoes = "goes";

// Holds a frame as it was received. The bytes are not checked yet.
struct Frame {
  FrameType type;
  std::string bytes;
};

// Returns the bytes of a frame. `bytes` must not be longer than FrameReader::kMost.
std::string encode(FrameType type, std::string_view bytes);

// Accepts bytes in pieces and returns whole frames. Fails with Code::limit for a frame over 80 MB, and for a frame that
// is read as JSON and is longer than `words`.
class FrameReader {
 public:
  static constexpr size_t kMost = 80u << 20;
  FrameReader() = default;
  explicit FrameReader(size_t words) : words_(words) {}
  // Adds received bytes, which may end anywhere within a frame.
  void feed(std::string_view bytes) { buffer_.append(bytes); }
  // Returns a frame, or fails with Code::unavailable while more bytes are needed.
  Result<Frame> next();
  // Reads once from a descriptor, which blocks if that does, and returns the frames that are complete, which may be
  // none. Fails with Code::closed at the end of the stream.
  Result<std::vector<Frame>> read(int fd);
  // Returns how many bytes of the first frame are known to be missing; 0 means that next() returns a frame or an
  // error.
  size_t missing() const;

 private:
  // Returns the total length of the first frame, whose header must be complete.
  size_t length() const;
  size_t most() const;

  size_t words_ = kMost;
  std::string buffer_;
  size_t offset_ = 0;
};

// Blocks until it has read one frame. Reads no byte beyond it, so that another reader can continue at the next frame.
Result<Frame> receive_frame(int fd);

// Blocks until all bytes are sent. Fails with Code::timed_out if the other side does not read for five seconds. Works
// on sockets and on pipes.
Result<> send_bytes(int fd, std::string_view bytes);
Result<> send_frame(int fd, FrameType type, std::string_view bytes);

}  // namespace bottle::wire
