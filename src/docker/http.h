// A strict HTTP/1.1 client for one request on one unix-socket connection. Blocking, with time limits.
// Source: RFC 9112 (messages), and the Engine API's hijacking of a connection after `Upgrade: tcp`.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/unique_fd.h"

namespace bottle::docker {

struct Response {
  int status = 0;
  std::map<std::string, std::string> headers;  // lower-case names
  std::string body;                            // empty if a body writer took it
};

class Connection {
 public:
  // `timeout_ms` bounds a whole request and its answer, but where a body is streamed (upload, or an answer that a
  // writer takes) each wait for the other side.
  static Result<Connection> open(const std::string& socket, int timeout_ms);

  // A connection that is there already: for tests.
  static Connection adopt(UniqueFd fd, int timeout_ms) { return Connection(std::move(fd), timeout_ms); }

  // `type` is the body's; empty: no body.
  Result<> request(std::string_view method, std::string_view target, std::string_view type, std::string_view body);
  // Asks for the connection itself: after a 101 (or, from old engines, 200) it is a bare stream.
  Result<> upgrade(std::string_view target);
  // A request whose body is streamed in chunks until the reader gives 0. If the engine answers early, the upload ends
  // and the answer counts. If the reader fails, so does this, and the body stays without its end.
  Result<> upload(std::string_view method, std::string_view target,
                  const std::function<Result<size_t>(char*, size_t)>& reader);

  // The head, then the body: a good answer's into `writer` if there is one, else into response.body (64 MB at most).
  Result<Response> response(const std::function<Result<>(std::string_view)>& writer = {});
  Result<Response> head();
  Result<> body(Response& response, const std::function<Result<>(std::string_view)>& writer = {});

  // After an upgrade: the descriptor, without a time limit, and what came with the head.
  UniqueFd release();
  int fd() const { return fd_.get(); }
  std::string rest() { return std::exchange(buffer_, {}); }

 private:
  using Clock = std::chrono::steady_clock;
  Connection(UniqueFd fd, int timeout_ms)
      : fd_(std::move(fd)), timeout_ms_(timeout_ms), deadline_(Clock::now() + std::chrono::milliseconds(timeout_ms)) {}
  Result<bool> fill();  // false: end of file
  Result<std::string> line();
  Result<> send(std::string_view bytes);
  std::unexpected<Error> too_slow() const;
  int wait_ms() const;  // what is left

  UniqueFd fd_;
  int timeout_ms_;
  std::optional<Clock::time_point> deadline_;  // of the whole; none while a body is streamed
  std::string buffer_;
};

}  // namespace bottle::docker
