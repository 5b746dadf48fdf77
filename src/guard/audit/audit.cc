// Builds each line in one buffer and writes the buffer once per turn of the loop. Lines about traffic are urgent,
// because the traffic waits for them (recorded() in connection.h). Others wait up to 20 ms, so that several share a
// write.
//
// Nothing is ever dropped here. If the reader is slow, congested() stops new work. If writing fails, stuck() says
// why, and the guard refuses all traffic until writing succeeds again. Repeats keeps a flood of refusals small.
#include "guard/audit/audit.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/os/poller.h"

namespace bottle::guard {

void append_json(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  for (unsigned char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c < 0x20 || c >= 0x7f) {
      out += "\\u00";
      out += kHex[c >> 4];
      out += kHex[c & 15];
    } else {
      out += static_cast<char>(c);
    }
  }
}

void Audit::open(int fd) {
  fd_ = fd;
  struct stat st;
  if (fd >= 0 && fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)))
    // A write to a full pipe must not block the loop. Regular files do not have this mode.
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

// Writes the current time into stamp_, in UTC with milliseconds.
void Audit::timestamp() {
  timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  // A second may have many lines, and only the milliseconds differ between them.
  if (t.tv_sec != stamp_second_) {
    stamp_second_ = t.tv_sec;
    tm parts;
    gmtime_r(&t.tv_sec, &parts);
    strftime(stamp_, sizeof stamp_, "%Y-%m-%dT%H:%M:%S.000Z", &parts);
  }
  int ms = static_cast<int>(t.tv_nsec / 1000000);
  stamp_[20] = static_cast<char>('0' + ms / 100);
  stamp_[21] = static_cast<char>('0' + ms / 10 % 10);
  stamp_[22] = static_cast<char>('0' + ms % 10);
}

// Appends a line to the buffer. Cuts texts that exceed their limits, because the agent chooses many of them.
void Audit::append(const AuditLine& line) {
  using Limits = wire::DecisionLimits;
  std::string_view now(stamp_, Limits::kTime);
  size_t start = pending_.size();
  std::string& out = pending_;
  out.append(R"({"type":"audit","time":")").append(line.time.empty() ? now : line.time);
  // These three are the guard's own and need no escape.
  out.append(R"(","id":")").append(line.id);
  out.append(R"(","action":")").append(word_of(line.action));
  out.append(R"(","kind":")").append(word_of(line.kind)).append(R"(","host":")");
  append_json(out, line.host.substr(0, Limits::kHost));
  out += '"';
  if (line.port) out.append(R"(,"port":)").append(std::to_string(line.port));
  auto text = [&](std::string_view name, std::string_view value, size_t limit) {
    if (value.empty()) return;
    out.append(",\"").append(name).append("\":\"");
    append_json(out, value.substr(0, limit));
    out += '"';
  };
  text("method", line.method, Limits::kMethod);
  text("path", line.path, Limits::kPath);
  text("code", line.code, Limits::kCode);
  text("reason", line.reason, Limits::kReason);
  if (line.lacks) out.append(R"(,"lacks":")").append(policy::word(*line.lacks)).append("\"");
  text("secret", line.secret, Limits::kSecret);
  text("rule", line.rule, Limits::kRule);
  text("fingerprint", line.fingerprint, Limits::kFingerprint);
  auto number = [&](std::string_view name, uint64_t value) {
    out.append(",\"").append(name).append("\":").append(std::to_string(value));
  };
  if (line.totals) {
    number("bytes_out", line.bytes_out);
    number("bytes_in", line.bytes_in);
  }
  if (line.count > 1) {
    number("count", line.count);
    text("first", line.first, Limits::kTime);
  }
  out += "}\n";
  given_ += out.size() - start;
}

void Audit::write(const AuditLine& line) {
  if (fd_ < 0) return;
  timestamp();
  if (!line.of_traffic()) {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    if (!repeats_.admit(line, {stamp_, wire::DecisionLimits::kTime}, t.tv_sec * 1000 + t.tv_nsec / 1000000,
                        !congested()))
      return;
  }
  append(line);
  // Nothing waits for the line about the end of a connection.
  urgent_ |= line.action != Action::close;
}

void Audit::raw(std::string_view line) {
  if (fd_ < 0) return;
  pending_.append(line);
  given_ += line.size();
  urgent_ = true;
}

// Writes until the descriptor takes no more. Returns whether nothing is left.
bool Audit::write_out() {
  size_t done = 0;
  bool was_stuck = !stuck_.empty();
  // Each attempt may succeed, for example because the disk has room again.
  stuck_.clear();
  while (done < pending_.size()) {
    ssize_t n = ::write(fd_, pending_.data() + done, pending_.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0 && errno != EAGAIN) stuck_ = n < 0 ? std::strerror(errno) : "the reader of the record took no bytes";
    if (n <= 0) break;
    done += static_cast<size_t>(n);
  }
  pending_.erase(0, done);
  written_ += done;
  if (done || was_stuck || !stuck_.empty())
    for (Waker* each : watchers_) each->wake();
  return pending_.empty();
}

int Audit::flush(int64_t now) {
  // Lines that let something through come in bursts, so the lines of one turn share a write. Other lines can wait for
  // kDelay milliseconds.
  constexpr int kDelay = 20, kRetry = 500;
  int next = congested() ? -1 : repeats_.due(now, [this](const AuditLine& line) { append(line); });
  auto sooner = [&](int ms) { return next < 0 ? ms : std::min(next, ms); };
  if (pending_.empty()) return next;
  if (!stuck_.empty() && now < retry_at_) return sooner(static_cast<int>(retry_at_ - now));
  if (since_ == 0) since_ = now;
  if (!urgent_ && pending_.size() < 8192 && now - since_ < kDelay)
    return sooner(kDelay - static_cast<int>(now - since_));
  if (!write_out()) {
    retry_at_ = now + kRetry;
    // The event queue accepts no regular files, so the write is tried again after a while.
    return sooner(stuck_.empty() ? 5 : kRetry);
  }
  since_ = 0;
  urgent_ = false;
  return next;
}

void Audit::drain() {
  if (fd_ < 0) return;
  repeats_.due(0, [this](const AuditLine& line) { append(line); }, true);
  for (int i = 0; i < 20 && !write_out(); ++i) wait_writable(fd_, 50);
}

}  // namespace bottle::guard
