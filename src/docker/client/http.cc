// Writes requests by hand, because there are only three forms of them, and reads answers with the strict parser that
// the guard uses. No socket call blocks; all waits happen in wait(), which checks the time limit and the stop. A
// request with its answer has one deadline, so an engine that sends a byte now and then cannot hold the caller. A
// stream has no deadline, because its length is unknown, but each wait in it has a limit.

#include "docker/client/http.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cstdio>
#include <cstring>

#include "base/os/descriptors.h"
#include "base/os/poller.h"
#include "base/text/words.h"
#include "http/head.h"

namespace bottle::docker {
namespace {

constexpr size_t kBodyLimit = 64 << 20;

Result<> check_target(std::string_view target) {
  for (unsigned char c : target)
    // Callers percent-encode names. A space or a line end in a target would begin another part of the request, or
    // another request.
    if (c <= ' ' || c == 0x7f) return fail(Code::invalid, "a name has an invalid character");
  return {};
}

}  // namespace

// A socket path from the environment may have any length, so the length is checked before the path is copied.
Result<Connection> Connection::open(const Dial& dial, int timeout_ms) {
  const std::string& socket = dial.socket;
  if (dial.stop.stop_requested()) return fail(Code::canceled, "the call to the engine was canceled");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // One byte is left for the NUL that ends the path.
  if (socket.empty() || socket.size() >= sizeof address.sun_path)
    return fail(Code::limit,
                "the engine's socket path is " + std::string(socket.empty() ? "empty" : "too long: ") + socket);
  std::memcpy(address.sun_path, socket.c_str(), socket.size() + 1);
  UniqueFd fd = open_socket(AF_UNIX, SOCK_STREAM);
  if (!fd) return fail_errno("making a socket");
  // This also limits connect(), which blocks while the engine's backlog is full.
  timeval limit{timeout_ms / 1000, timeout_ms % 1000 * 1000L};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  int done;
  do done = ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
  while (done != 0 && errno == EINTR);
  if (done != 0) {
    // With SO_SNDTIMEO, a connect(2) that takes too long fails with EAGAIN (socket(7)).
    auto failed = fail_errno("connecting to the engine at " + socket, errno == EAGAIN ? ETIMEDOUT : errno);
    // ENOENT here means that there is no engine. It must not look like the engine's answer "no such object".
    if (failed.error().code == Code::not_found) failed.error().code = Code::unavailable;
    if (failed.error().code == Code::unavailable) failed.error().todo = "start dockerd";
    return failed;
  }
  return Connection(std::move(fd), timeout_ms, dial.stop);
}

Connection::Connection(UniqueFd fd, int timeout_ms, const std::stop_token& stop)
    : fd_(std::move(fd)),
      stop_(stop),
      shutdown_(stop.stop_possible() ? std::make_unique<ShutdownOnStop>(stop, fd_.get()) : nullptr),
      timeout_ms_(timeout_ms),
      deadline_(Deadline::in_ms(timeout_ms)) {}

// A stop shuts the socket down, and the resulting error would not help the operator.
std::unexpected<Error> Connection::failed(std::string_view doing) const {
  if (stop_.stop_requested()) return fail(Code::canceled, "the call to the engine was canceled");
  return fail_errno(doing);
}

std::unexpected<Error> Connection::too_slow() const {
  return fail(Code::timed_out, "the engine did not answer within " + std::to_string(timeout_ms_ / 1000) + " s");
}

UniqueFd Connection::release() {
  // From here on, the descriptor belongs to the caller, and a stop must not shut it down.
  shutdown_.reset();
  timeval none{};
  // 0 means no limit: the attached stream may be idle for days.
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &none, sizeof none);
  return std::move(fd_);
}

Result<> Connection::send(std::string_view bytes) {
  while (!bytes.empty()) {
    // MSG_DONTWAIT makes only this call non-blocking. The descriptor stays blocking, because release() may hand it to
    // a caller.
    ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      TRY(wait(Until::writable));
      continue;
    }
    if (n < 0) return failed("sending to the engine");
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

Result<> Connection::request(const HttpRequest& request) {
  const auto& [method, target, type, body] = request;
  TRY(check_target(target));
  std::string text =
      std::string(method) + " " + std::string(target) + " HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n";
  if (!type.empty()) text += "Content-Type: " + std::string(type) + "\r\n";
  // Without a length, some servers wait for a body of a POST or a DELETE.
  if (method != "GET") text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  text += "\r\n";
  text += body;
  // If an engine refuses before it has read everything, its answer has the reason.
  if (auto sent = send(text); !sent && sent.error().code != Code::closed) return sent;
  return {};
}

Result<> Connection::upgrade(std::string_view target) {
  TRY(check_target(target));
  return send("POST " + std::string(target) +
              " HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n");
}

// The length of the body is not known in advance, so it goes in chunks.
Result<> Connection::upload(std::string_view method, std::string_view target,
                            const std::function<Result<size_t>(char*, size_t)>& reader) {
  TRY(check_target(target));
  deadline_.reset();
  TRY(send(std::string(method) + " " + std::string(target) +
           " HTTP/1.1\r\nHost: docker\r\nConnection: close\r\nContent-Type: application/x-tar\r\nTransfer-Encoding: "
           "chunked\r\n\r\n"));
  std::string buffer(256 << 10, '\0');
  for (;;) {
    size_t n = TRY(reader(buffer.data(), buffer.size()));
    if (n > buffer.size()) return fail(Code::internal, "a reader returned more bytes than requested");
    // An engine answers before the end of the body only if it refuses. Sending on would only fill its socket.
    if (n > 0 && wait_readable(fd_.get(), 0)) return {};
    char size[24];
    int digits = std::snprintf(size, sizeof size, "%zx\r\n", n);
    // A chunk is its size in hexadecimal, its bytes, and line ends (RFC 9112 §7.1). The chunk of size 0 at the end has
    // no bytes.
    for (std::string_view part : {std::string_view(size, static_cast<size_t>(digits)),
                                  std::string_view(buffer).substr(0, n), std::string_view("\r\n")})
      // As in request(), if the engine closes early, its answer has the reason.
      if (auto sent = send(part); !sent) return sent.error().code == Code::closed ? Result<>{} : sent;
    if (n == 0) return {};
  }
}

// Checks for a stop from time to time, because not every kernel wakes a thread that waits for a socket when another
// thread shuts the socket down.
Result<> Connection::wait(Until until) {
  constexpr int kLookForStopMs = 100;
  // While a body is streamed, each wait may take the whole limit.
  auto deadline = deadline_.value_or(Deadline::in_ms(timeout_ms_));
  for (;;) {
    int turn = stop_.stop_possible() ? deadline.ms_left(kLookForStopMs) : deadline.ms_left();
    bool ready = until == Until::readable ? wait_readable(fd_.get(), turn) : wait_writable(fd_.get(), turn);
    if (stop_.stop_requested()) return failed("waiting for the engine");
    if (ready) return {};
    if (deadline.is_over()) return too_slow();
  }
}

// Appends what has arrived to buffer_, after waiting for it.
Result<bool> Connection::fill() {
  TRY(wait(Until::readable));
  char bytes[65536];
  ssize_t n;
  do n = ::recv(fd_.get(), bytes, sizeof bytes, 0);
  while (n < 0 && errno == EINTR);
  // After a stop, the socket is shut down, which looks like the end of the answer.
  if (n < 0 || stop_.stop_requested()) return failed("reading from the engine");
  buffer_.append(bytes, static_cast<size_t>(n));
  return n > 0;
}

Result<Response> Connection::head() {
  // Interim answers (1xx) come before the final one. The bound ends an engine that sends nothing else.
  for (int interim = 0; interim < 10; ++interim) {
    http::Head head;
    Parse parsed = Parse::incomplete;
    // The head's size is limited by the parser, so buffer_ cannot grow without limit here.
    while ((parsed = http::parse_response(buffer_, head)) == Parse::incomplete)
      if (!TRY(fill())) return fail(Code::closed, "the engine closed the connection");
    if (parsed == Parse::bad) return fail(Code::protocol, std::string("the engine's answer is not HTTP: ") + head.why);
    if (head.status > 599) return fail(Code::protocol, "the engine's answer is not HTTP: the status is not valid");
    Response response{.status = head.status};
    // The views of `head` are copied before buffer_ changes below. If a header appears twice, the first one counts.
    for (const auto& header : head.headers) response.headers.try_emplace(lower(header.name), header.value);
    framing_ = http::Body::of_response(head, "GET");  // this client sends no HEAD requests
    buffer_.erase(0, head.size);
    if (response.status == 101 || response.status >= 200) return response;
  }
  return fail(Code::protocol, "the engine never sent a final answer");
}

Result<> Connection::body(Response& response, const std::function<Result<>(std::string_view)>& writer) {
  // The body of an error goes into the message, not to a writer that expects an archive.
  bool streamed = writer && response.status < 300;
  if (streamed) deadline_.reset();
  auto take = [&](std::string_view bytes) -> Result<> {
    if (streamed) return writer(bytes);
    if (response.body.size() + bytes.size() > kBodyLimit) return fail(Code::limit, "the engine's answer is too large");
    response.body.append(bytes);
    return {};
  };
  for (std::string payload; !framing_.done();) {
    // Unlike servers of the internet, an engine does not make such mistakes, so none is tolerated.
    if (!framing_.read(buffer_, payload) || framing_.has_bare_lf())
      return fail(Code::protocol, "the engine sent a bad chunk");
    if (!payload.empty()) TRY(take(payload));
    payload.clear();
    if (framing_.done()) break;
    if (TRY(fill())) continue;
    // An answer without a length or chunks ends with the connection.
    if (!framing_.end()) return fail(Code::closed, "the engine's answer ended early");
  }
  return {};
}

Result<Response> Connection::response(const std::function<Result<>(std::string_view)>& writer) {
  Response response = TRY(head());
  TRY(body(response, writer));
  return response;
}

}  // namespace bottle::docker
