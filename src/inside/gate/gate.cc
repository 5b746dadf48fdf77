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

// Reads `size` bytes in pieces and not one more, because the next bytes on stdin are for the agent.
Result<> read_pieces(int fd, size_t size, int idle_ms, const std::function<void(std::string_view)>& take) {
  while (size > 0) {
    // Each byte restarts the limit, so a go message of megabytes may take a long time to arrive, but it must not stall.
    if (!wait_readable(fd, idle_ms)) return fail(Code::timed_out, "the gate was not opened in time");
    char buffer[65536];
    ssize_t got = ::read(fd, buffer, std::min(sizeof buffer, size));
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got < 0) return fail_errno("reading at the gate");
    // The supervisor has died or ended the session.
    if (got == 0) return fail(Code::closed, "the session closed the gate");
    take({buffer, static_cast<size_t>(got)});
    size -= static_cast<size_t>(got);
  }
  return {};
}

Result<std::string> read_exactly(int fd, size_t size, int idle_ms) {
  std::string out;
  TRY(read_pieces(fd, size, idle_ms, [&](std::string_view piece) { out += piece; }));
  return out;
}

// Reads 8 hexadecimal digits, which are the length of what follows. `what` is the name of that.
Result<size_t> read_length(int fd, int idle_ms, const std::string& what, size_t most) {
  std::string head = TRY(read_exactly(fd, 8, idle_ms));
  size_t size = 0;
  for (char c : head) {
    int digit = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
    if (digit < 0) return fail(Code::protocol, "the length of the " + what + " is not hexadecimal");
    size = size * 16 + static_cast<size_t>(digit);
  }
  if (size > most) return fail(Code::limit, "the " + what + " is larger than " + std::to_string(most >> 20) + " MB");
  return size;
}

}  // namespace

std::string frame_report(const wire::Report& report) {
  return std::string(wire::kReportBegins) + wire::encode(report, wire::Layout::ascii) + wire::kReportEnds;
}

Result<> read_ask(int fd, int idle_ms, const std::function<void(std::string_view)>& take) {
  std::string ask = TRY(read_exactly(fd, 1, idle_ms));
  if (ask[0] == wire::kFilesFollow) {
    size_t size = TRY(read_length(fd, idle_ms, "archive of files", wire::kMostFiles));
    TRY(read_pieces(fd, size, idle_ms, take));
    ask = TRY(read_exactly(fd, 1, idle_ms));
  }
  if (ask != "\n") return fail(Code::protocol, "the gate received an unknown request");
  return {};
}

Result<wire::Go> read_go(int fd, int idle_ms) {
  size_t size = TRY(read_length(fd, idle_ms, "go message", wire::Go::kMost));
  return wire::decode<wire::Go>(TRY(read_exactly(fd, size, idle_ms)), wire::From::ours);
}

}  // namespace bottle::inside
