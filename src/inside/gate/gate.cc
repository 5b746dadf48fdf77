// The messages share stdin and stdout with what becomes the agent's terminal. Therefore the report is an escape
// sequence that terminals ignore (OSC), and the go message begins with its length, so that the helper reads exactly
// its bytes and leaves to the agent whatever the operator types next. No part of the go message has an effect until
// the message is complete and valid.

#include "inside/gate/gate.h"

#include <unistd.h>

#include <algorithm>

#include "base/os/poller.h"

namespace bottle::inside {
namespace {

// Reads `size` bytes and not one more, because the next bytes on stdin are for the agent.
Result<std::string> read_exactly(int fd, size_t size, int idle_ms) {
  std::string out;
  while (out.size() < size) {
    // Each byte restarts the limit, so a go message of megabytes may take a long time to arrive, but it must not stall.
    if (!wait_readable(fd, idle_ms)) return fail(Code::timed_out, "the gate was not opened in time");
    char buffer[65536];
    ssize_t got = ::read(fd, buffer, std::min(sizeof buffer, size - out.size()));
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got < 0) return fail_errno("reading at the gate");
    // The supervisor has died or ended the session.
    if (got == 0) return fail(Code::closed, "the session closed the gate");
    out.append(buffer, static_cast<size_t>(got));
  }
  return out;
}

}  // namespace

std::string frame_report(const wire::Report& report) {
  return std::string(wire::kReportBegins) + wire::encode(report, wire::Layout::ascii) + wire::kReportEnds;
}

Result<> read_ask(int fd, int idle_ms) {
  std::string ask = TRY(read_exactly(fd, 1, idle_ms));
  if (ask != "\n") return fail(Code::protocol, "the gate received an unknown request");
  return {};
}

Result<wire::Go> read_go(int fd, int idle_ms) {
  std::string head = TRY(read_exactly(fd, 8, idle_ms));
  size_t size = 0;
  for (char c : head) {
    int digit = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
    if (digit < 0) return fail(Code::protocol, "the length of the go message is not hexadecimal");
    size = size * 16 + static_cast<size_t>(digit);
  }
  if (size > wire::Go::kMost) return fail(Code::limit, "the go message is larger than 64 MB");
  return wire::decode<wire::Go>(TRY(read_exactly(fd, size, idle_ms)), wire::From::ours);
}

}  // namespace bottle::inside
