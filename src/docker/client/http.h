// Implements a strict HTTP/1.1 client for one request over one connection to a Unix socket. It blocks, with time
// limits. Source: RFC 9112 (messages), and the Engine API's hijacking of a connection after `Upgrade: tcp`.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/os/deadline.h"
#include "base/shutdown_on_stop.h"
#include "base/unique_fd.h"
#include "http/body.h"

namespace bottle::docker {

// Holds the engine's answer to one request. Its body is whatever the engine sent.
struct Response {
  int status = 0;
  std::map<std::string, std::string> headers;  // lower-case names
  std::string body;                            // empty if a body writer took it
};

// Describes a request whose body is in memory.
struct HttpRequest {
  std::string_view method, target;
  std::string_view type = {}, body = {};  // the media type is empty if there is no body
};

// Says how to reach the engine.
struct Dial {
  std::string socket;         // path of its Unix socket
  std::stop_token stop = {};  // ends each wait for the engine, with Code::canceled
};

// Owns one connection for one request: call open(), then request() or upload() or upgrade(), then response(). All
// functions block, and fail with Code::timed_out, Code::canceled (a stop), Code::closed (the engine closed it) or
// Code::protocol (the answer is not HTTP).
class Connection {
 public:
  // `timeout_ms` limits a whole request with its answer, or each wait while a body is streamed.
  static Result<Connection> open(const Dial& dial, int timeout_ms);

  // Uses an open connection, for tests.
  static Connection adopt(UniqueFd fd, int timeout_ms) { return Connection(std::move(fd), timeout_ms, {}); }

  Result<> request(const HttpRequest& request);
  // Asks to take over the connection. After a 101 (or, from old engines, a 200) it is a raw stream.
  Result<> upgrade(std::string_view target);
  // Sends a request whose body is streamed in chunks until the reader returns 0. If the engine answers early, the
  // upload stops and the answer counts. If the reader fails, the call fails and does not end the body.
  Result<> upload(std::string_view method, std::string_view target,
                  const std::function<Result<size_t>(char*, size_t)>& reader);

  // Reads the head and the body. The body of a successful answer goes to `writer` if there is one; any other body goes
  // into response.body, up to 64 MB.
  Result<Response> response(const std::function<Result<>(std::string_view)>& writer = {});
  Result<Response> head();
  Result<> body(Response& response, const std::function<Result<>(std::string_view)>& writer = {});

  // After an upgrade, returns the descriptor, without a time limit, and the bytes that arrived with the head.
  UniqueFd release();
  int fd() const { return fd_.get(); }
  std::string rest() { return std::exchange(buffer_, {}); }

 private:
  Connection(UniqueFd fd, int timeout_ms, const std::stop_token& stop);
  Result<bool> fill();  // false at the end of the stream
  Result<> send(std::string_view bytes);
  enum class Until { readable, writable };
  Result<> wait(Until until);
  std::unexpected<Error> too_slow() const;
  std::unexpected<Error> failed(std::string_view doing) const;  // uses errno

  UniqueFd fd_;
  std::stop_token stop_;
  std::unique_ptr<ShutdownOnStop> shutdown_;  // null if no stop can be requested
  int timeout_ms_;
  std::optional<Deadline> deadline_;  // of the whole request; empty while a body is streamed
  std::string buffer_;
  http::Body framing_;  // framing of the answer whose head was read last
};

}  // namespace bottle::docker
