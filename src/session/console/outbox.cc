// Queues frames for a client that may read slowly or never. Output of the agent may be dropped, because the client is
// told how much it missed; events, answers and results may not. A frame that has been sent in part must
// be completed before anything else, which `sent_` records.
#include "session/console/outbox.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "wire/event.h"

namespace bottle::session {

using wire::FrameType;

void Outbox::add(FrameType type, std::string_view bytes) {
  bool output = type == FrameType::output || type == FrameType::diagnostic;
  // After a gap, output begins again only when there is much room. Otherwise, a slow reader would get many small gaps
  // with a notice for each.
  bool full = size_ + bytes.size() > most_ || (missed_ > 0 && size_ > most_ / 2);
  if (output && full) {
    missed_ += bytes.size();
    return;
  }
  if (output) tell_missed();
  add_encoded(encode(type, bytes));
}

void Outbox::add_first(FrameType type, std::string_view bytes) {
  std::string frame = encode(type, bytes);
  size_ += frame.size();
  frames_.insert(frames_.begin() + (sent_ > 0 ? 1 : 0), std::move(frame));
}

void Outbox::add_encoded(std::string frames) {
  if (frames.empty()) return;
  size_ += frames.size();
  frames_.push_back(std::move(frames));
}

void Outbox::tell_missed() {
  if (missed_ == 0) return;
  wire::Event event = wire::OutputMissed{.bytes = missed_};
  missed_ = 0;
  add_encoded(encode(FrameType::event, wire::encode(event)));
}

Result<> Outbox::flush(int fd) {
  // Output may have been dropped after the last frame that was sent.
  if (frames_.empty()) tell_missed();
  while (!frames_.empty()) {
    std::string_view rest = std::string_view(frames_.front()).substr(sent_);
    // A launcher that exited must not raise SIGPIPE.
    ssize_t n = ::send(fd, rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == ENOTSOCK) n = ::write(fd, rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return {};
    if (n < 0) return fail_errno("sending to the terminal");
    size_ -= static_cast<size_t>(n);
    sent_ += static_cast<size_t>(n);
    if (static_cast<size_t>(n) < rest.size()) continue;
    frames_.pop_front();
    sent_ = 0;
    if (frames_.empty()) tell_missed();
  }
  return {};
}

}  // namespace bottle::session
