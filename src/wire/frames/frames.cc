// Frames begin with their length, so a reader can tell how much memory a frame will need before it arrives, and
// refuses a frame by its header. Only output may be large in any case. Everything else is JSON, whose parsed form
// takes many times the memory of its text, so a reader that does not trust the other side sets a lower limit for
// JSON.
#include "wire/frames/frames.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/files/file.h"
#include "base/os/poller.h"

namespace bottle::wire {
size_t FrameReader::length() const {
  size_t length = 0;
  for (size_t i = 1; i <= 4; ++i) length = length << 8 | static_cast<unsigned char>(buffer_[offset_ + i]);
  return length;
}

size_t FrameReader::most() const {
  auto type = static_cast<FrameType>(buffer_[offset_]);
  return type == FrameType::output || type == FrameType::diagnostic ? kMost : words_;
}

size_t FrameReader::missing() const {
  // A header has five bytes: the type and the length.
  size_t have = buffer_.size() - offset_;
  if (have < 5) return 5 - have;
  return length() > most() || have >= 5 + length() ? 0 : 5 + length() - have;
}

std::string encode(FrameType type, std::string_view bytes) {
  std::string out(1, static_cast<char>(type));
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(bytes.size() >> shift & 255);
  out.append(bytes);
  return out;
}

Result<Frame> FrameReader::next() {
  size_t have = buffer_.size() - offset_;
  if (have < 5) return fail(Code::unavailable, "frame incomplete");
  if (length() > most()) return fail(Code::limit, "frame of " + std::to_string(length()) + " bytes");
  if (have < 5 + length()) return fail(Code::unavailable, "frame incomplete");
  Frame frame{static_cast<FrameType>(buffer_[offset_]), buffer_.substr(offset_ + 5, length())};
  offset_ += 5 + frame.bytes.size();
  // Removes the bytes that were read only now and then, because moving the rest of a long buffer for each small frame
  // would take quadratic time.
  if (offset_ == buffer_.size() || offset_ > (1u << 20)) {
    buffer_.erase(0, offset_);
    offset_ = 0;
  }
  return frame;
}

Result<std::vector<Frame>> FrameReader::read(int fd) {
  char buffer[65536];
  ssize_t n = ::read(fd, buffer, sizeof buffer);
  if (n < 0 && errno == EINTR) return std::vector<Frame>{};
  if (n < 0) return fail_errno("receiving from the other side");
  if (n == 0) return fail(Code::closed, "the other side closed the connection");
  feed({buffer, static_cast<size_t>(n)});
  std::vector<Frame> frames;
  for (;;) {
    auto frame = next();
    if (frame) frames.push_back(std::move(*frame));
    else if (frame.error().code == Code::unavailable) return frames;
    else return std::unexpected(std::move(frame.error()));
  }
}

Result<Frame> receive_frame(int fd) {
  FrameReader reader;
  char buffer[65536];
  for (size_t want = 5;;) {
    // Asks for no more than the frame still lacks, so what follows it stays in the socket.
    size_t n = TRY(read_some(fd, {buffer, std::min(want, sizeof buffer)}, "receiving from the other side"));
    if (n == 0) return fail(Code::closed, "the other side closed the connection");
    reader.feed({buffer, n});
    want = reader.missing();
    if (want == 0) return reader.next();
  }
}

Result<> send_bytes(int fd, std::string_view rest) {
  int patience_ms = 5000;
  while (!rest.empty()) {
    // The flags prevent SIGPIPE and blocking on a socket. Only send() has such flags, so a pipe gets a plain write.
    ssize_t n = ::send(fd, rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == ENOTSOCK) {  // it is a pipe to ssh, which fills up when the connection stalls
      patience_ms = 30000;
      n = ::write(fd, rest.data(), rest.size());
    }
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      if (!wait_writable(fd, patience_ms)) return fail(Code::timed_out, "the other side does not read");
      continue;
    }
    if (n < 0) return fail_errno("sending to the other side");
    rest.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

Result<> send_frame(int fd, FrameType type, std::string_view bytes) { return send_bytes(fd, encode(type, bytes)); }

}  // namespace bottle::wire
