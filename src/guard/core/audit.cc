#include "guard/core/audit.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

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
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

void Audit::timestamp() {
  timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
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

void Audit::write(const AuditLine& line) {
  if (fd_ < 0) return;
  timestamp();
  std::string& out = pending_;
  out.append(R"({"type":"audit","time":")").append(stamp_, 24).append(R"(","id":")").append(line.id);
  out.append(R"(","action":")").append(line.action).append(R"(","kind":")").append(line.kind).append(R"(","host":")");
  append_json(out, line.host.substr(0, 260));
  out += '"';
  if (line.port) out.append(R"(,"port":)").append(std::to_string(line.port));
  auto text = [&](std::string_view name, std::string_view value, size_t limit) {
    if (value.empty()) return;
    out.append(",\"").append(name).append("\":\"");
    append_json(out, value.substr(0, limit));
    out += '"';
  };
  text("method", line.method, 32);
  text("path", line.path, 512);
  text("code", line.code, 64);
  text("reason", line.reason, 512);
  text("secret", line.secret, 64);
  if (line.totals)
    out.append(R"(,"bytes_out":)")
        .append(std::to_string(line.bytes_out))
        .append(R"(,"bytes_in":)")
        .append(std::to_string(line.bytes_in));
  out += "}\n";
  urgent_ |= line.action == "deny";
}

void Audit::raw(std::string_view line) {
  if (fd_ < 0) return;
  pending_.append(line);
  urgent_ = true;
}

bool Audit::write_out() {
  size_t done = 0;
  while (done < pending_.size()) {
    ssize_t n = ::write(fd_, pending_.data() + done, pending_.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno != EAGAIN)
      done = pending_.size();  // nobody reads any more; the owner's end of file on stdin ends us
    if (n <= 0) break;
    done += static_cast<size_t>(n);
  }
  pending_.erase(0, done);
  return pending_.empty();
}

int Audit::flush(int64_t now) {
  // Allowed connections come in bursts: their lines share a write, none waits longer than this.
  constexpr int kDelay = 20;
  if (pending_.empty()) return -1;
  if (since_ == 0) since_ = now;
  if (!urgent_ && pending_.size() < 8192 && now - since_ < kDelay) return static_cast<int>(kDelay - (now - since_));
  if (!write_out()) return 5;
  since_ = 0;
  urgent_ = false;
  return -1;
}

void Audit::drain() {
  if (fd_ < 0) return;
  for (int i = 0; i < 20 && !write_out(); ++i) {
    pollfd p{fd_, POLLOUT, 0};
    poll(&p, 1, 50);
  }
}

}  // namespace bottle::guard
