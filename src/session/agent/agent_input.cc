// Sends without blocking, because an agent that does not read must not stop the supervisor, and keeps the rest. If
// the buffer stays full for some seconds in which the agent reads hardly anything, the input is lost in any case, so it
// is dropped to let the clients continue.
#include "session/agent/agent_input.h"

#include <sys/socket.h>

#include <cerrno>

namespace bottle::session {

void AgentInput::add(int fd, std::string_view bytes, Time now) {
  if (kept_.size() + bytes.size() <= kMostEver) kept_ += bytes;
  else dropped_ += bytes.size();
  flush(fd, now);
}

bool AgentInput::must_tell(Time now) {
  constexpr std::chrono::seconds kAgain{1};
  bool changes = is_full() != told_full_.has_value();
  if (!changes && (!told_full_ || now - *told_full_ < kAgain)) return false;
  if (is_full()) told_full_ = now;
  else told_full_.reset();
  return true;
}

void AgentInput::flush(int fd, Time now) {
  size_t sent = 0;
  while (sent < kept_.size()) {
    ssize_t n = ::send(fd, kept_.data() + sent, kept_.size() - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    if (n < 0) return kept_.clear();  // the agent has ended
    sent += static_cast<size_t>(n);
  }
  kept_.erase(0, sent);
  sent_ += sent;
  if (!is_full()) return full_since_.reset();
  if (!full_since_ || sent_ >= kLeast) {
    full_since_ = now;
    sent_ = 0;
  } else if (now - *full_since_ >= patience_) {
    full_since_.reset();
    dropped_ += kept_.size();
    kept_.clear();
  }
}

std::string AgentInput::news(When when) {
  if (dropped_ == told_dropped_ || (when == When::running && told_dropped_ > 0)) return {};
  bool is_first = told_dropped_ == 0;
  told_dropped_ = dropped_;
  std::string bytes = std::to_string(dropped_) + " bytes";
  return is_first ? "the agent does not read its input, so " + bytes + " of it were dropped"
                  : "in all, " + bytes + " of the agent's input were dropped, because the agent did not read them";
}

}  // namespace bottle::session
