// Copies with one thread and two buffers. Reading from one side stops while its buffer is full, so a slow reader slows
// the writer down instead of filling the memory. The end of one direction is passed on alone: a client that has sent
// everything still gets the answer.

#include "inside/through_guard.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdio>

#include "base/files/file.h"
#include "base/os/poller.h"
#include "http/head.h"
#include "inside/probes/exchange.h"

namespace bottle::inside {
namespace {

// The limit for connecting and for the head of the answer, in milliseconds.
constexpr int kPatience = 30000;

// Holds one direction of copy_both_ways(), with the bytes that were read but not yet written.
struct Flow {
  int in, out;
  std::string held = {};
  bool ended = false, closed = false;

  bool can_read() const { return !ended && held.size() < 65536; }
  bool can_write() const { return !held.empty(); }

  void read() {
    char buffer[32768];
    ssize_t n = ::read(in, buffer, sizeof buffer);
    if (n > 0) held.append(buffer, static_cast<size_t>(n));
    else if (n == 0 || (errno != EINTR && errno != EAGAIN)) ended = true;
  }
  void write() {
    // MSG_NOSIGNAL keeps a socket whose peer is gone from raising SIGPIPE. For a pipe, main() ignores the signal. The
    // descriptors may be blocking, and a write that blocks would also stop the other direction. A pipe that poll(2)
    // calls writable takes PIPE_BUF bytes without blocking.
    ssize_t n = ::send(out, held.data(), held.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == ENOTSOCK) n = ::write(out, held.data(), std::min<size_t>(held.size(), PIPE_BUF));
    if (n > 0) held.erase(0, static_cast<size_t>(n));
    // The reader is gone, so the bytes that are still held are not needed.
    else if (n < 0 && errno != EINTR && errno != EAGAIN) ended = true, held.clear();
  }
  void close() {
    // The end is passed on only after everything before it.
    if (closed || !ended || !held.empty()) return;
    closed = true;
    // A socket may still be read after this. A pipe has only one direction, so it is closed.
    if (::shutdown(out, SHUT_WR) != 0 && errno == ENOTSOCK) ::close(out);
  }
};

}  // namespace

// A closed direction is watched no longer, and the loop ends when both are closed.
void copy_both_ways(int left_in, int left_out, int right_in, int right_out) {
  Flow flows[2] = {{left_in, right_out}, {right_in, left_out}};
  while (!flows[0].closed || !flows[1].closed) {
    Poller poller;
    for (const auto& flow : flows) {
      // If the loop watched an end that is ready but of no use now, poll would return immediately each time, and the
      // loop would spin.
      if (flow.can_read()) poller.watch(flow.in);
      if (flow.can_write()) poller.watch_writable(flow.out);
    }
    poller.wait(-1);
    for (auto& flow : flows) {
      if (flow.can_write() && poller.writable(flow.out)) flow.write();
      if (flow.can_read() && poller.readable(flow.in)) flow.read();
      flow.close();
    }
  }
}

Result<UniqueFd> through_guard(const sockaddr_in& guard, const std::string& request, int status, std::string& early) {
  auto deadline = Deadline::in_ms(kPatience);
  UniqueFd fd = TRY(dial(guard, deadline));
  // dial() returns a non-blocking socket, but the callers read and write until it is done.
  ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) & ~O_NONBLOCK);
  TRY(write_all(fd.get(), request));
  std::string bytes;
  http::Head head;
  Parse parsed = Parse::incomplete;
  while ((parsed = http::parse_response(bytes, head)) == Parse::incomplete) {
    char buffer[4096];
    ssize_t n = wait_readable(fd.get(), deadline) ? ::recv(fd.get(), buffer, sizeof buffer, 0) : 0;
    if (n <= 0) return fail(Code::closed, "the guard did not answer");
    bytes.append(buffer, static_cast<size_t>(n));
  }
  if (parsed == Parse::bad) return fail(Code::protocol, std::string("the guard's answer is not HTTP: ") + head.why);
  if (head.status != status) {
    // The guard says why it refuses in one of these headers.
    const http::Header* reason = head.find("x-bottle-deny");
    if (!reason) reason = head.find("x-bottle-error");
    return fail(Code::denied,
                "the guard refused: " + (reason ? std::string(reason->value) : std::string("it gave no reason")));
  }
  early = bytes.substr(head.size);
  return fd;
}

int connect_command(const std::string& guard, const std::string& host, const std::string& port) {
  auto at = parse_endpoint(guard);
  // Anything else could end the request line and begin a header.
  bool clean = std::ranges::none_of(host + port, [](unsigned char c) { return c <= ' ' || c >= 0x7f; });
  if (!at || host.empty() || port.empty() || !clean) {
    std::fputs("usage: inside connect GUARD_IP:PORT HOST PORT\n", stderr);
    return 2;
  }
  std::string early, authority = host + ":" + port;
  auto fd = through_guard(*at, "CONNECT " + authority + " HTTP/1.1\r\nHost: " + authority + "\r\n\r\n", 200, early);
  if (!fd || !write_all(1, early)) {
    std::fprintf(stderr, "bottle: %s: %s\n", authority.c_str(), fd ? "stdout is closed" : fd.error().what.c_str());
    return 1;
  }
  copy_both_ways(0, 1, fd->get(), fd->get());
  return 0;
}

}  // namespace bottle::inside
