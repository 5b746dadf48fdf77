// The report is framed as a control sequence (OSC). The same stream may be a terminal, on which the agent's output
// follows directly. The frame tells the two apart in raw bytes, and a terminal that gets the report does not show it.
// The container's image may come from any source, so the report is bounded, decoded as foreign, and must arrive
// before a deadline. If a container prints something else, that becomes part of the error.
#include "session/agent/gate.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "base/files/file.h"
#include "base/os/poller.h"
#include "base/text/line.h"

namespace bottle::session {
namespace {

// A stop does not make the stream readable, so the wait is interrupted to look for one.
constexpr int kLookForStopMs = 100;

}  // namespace

Result<> Gate::ask() { return write_all(attached_.fd(), "\n"); }

// Reads until the report is complete. Bytes after it are the agent's first output and are kept in `early_`. A
// terminal adds a line end to the report, which is dropped.
Result<wire::Report> Gate::await_report(int timeout_ms, const std::stop_token& stop) {
  auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  docker::Demux demux;
  std::string text, complaint;
  for (;;) {
    size_t begin = text.find(wire::kReportBegins);
    size_t end = begin == std::string::npos ? begin : text.find(wire::kReportEnds, begin);
    if (end != std::string::npos) {
      auto told =
          std::string_view(text).substr(begin + wire::kReportBegins.size(), end - begin - wire::kReportBegins.size());
      auto report = TRY(wire::decode<wire::Report>(told, wire::From::foreign));
      early_ = text.substr(end + 1);
      while (!early_.empty() && (early_[0] == '\r' || early_[0] == '\n')) early_.erase(0, 1);
      return report;
    }
    if (text.size() > wire::Report::kMost) return fail(Code::limit, "the self-test's report is too long");
    auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    std::string bytes = attached_.take_early();
    if (bytes.empty()) {
      bool ready = left > 0 && wait_readable(attached_.fd(), static_cast<int>(std::min<int64_t>(left, kLookForStopMs)));
      if (stop.stop_requested()) return fail(Code::canceled, "the self-test was stopped");
      if (!ready && left > 0) continue;
      if (!ready)
        return fail(Code::timed_out, "the self-test did not report within " + std::to_string(timeout_ms) + " ms");
      char buffer[65536];
      ssize_t n = ::read(attached_.fd(), buffer, sizeof buffer);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) {
        std::string said = folded(text + complaint, 2000);
        return fail(Code::closed,
                    "the agent's container ended before its self-test" + (said.empty() ? "" : ": " + said));
      }
      bytes.assign(buffer, static_cast<size_t>(n));
    }
    if (terminal_) text += bytes;
    else
      TRY(demux.feed(bytes,
                     [&](int stream, std::string_view chunk) { (stream == 1 ? text : complaint).append(chunk); }));
  }
}

// Writes the go message. The length is first, because a terminal's stream has no end that could mark the end of a
// message.
Result<> Gate::open(const wire::Go& go) {
  std::string body = TRY(wire::encode_exactly(go));
  char length[9];
  (void)std::snprintf(length, sizeof length, "%08zx", body.size());
  return write_all(attached_.fd(), length + body);
}

}  // namespace bottle::session
