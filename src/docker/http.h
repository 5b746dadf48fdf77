// A strict HTTP/1.1 client for one request on one connection.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "base/error.h"
#include "base/unique_fd.h"

namespace bottle::docker {

struct Response {
  int status = 0;
  std::map<std::string, std::string> headers;  // lower-case names
  std::string body;                            // empty if a body writer was given
};

class Connection {
 public:
  static Result<Connection> open(const std::string& socket, int timeout_ms);

  Result<> request(const std::string& method, const std::string& target, const std::string& type, const std::string& body);
  Result<> upgrade(const std::string& target);
  // A request whose body is streamed in chunks. If the engine answers early, the upload ends and the answer counts.
  Result<> upload(const std::string& method, const std::string& target, const std::function<Result<size_t>(char*, size_t)>& reader);

  // Reads the head, then the body into `writer` (or response.body, 64 MB at most, for errors and without a writer).
  Result<Response> response(const std::function<Result<>(std::string_view)>& writer = {});
  Result<Response> head();

  UniqueFd release() { return std::move(fd_); }
  std::string rest() { return std::move(buffer_); }

 private:
  Connection(UniqueFd fd, int timeout_ms) : fd_(std::move(fd)), timeout_ms_(timeout_ms) {}
  Result<bool> fill();  // false: end of file
  Result<std::string> line();
  Result<> send(std::string_view bytes);
  UniqueFd fd_;
  int timeout_ms_;
  std::string buffer_;
};

}  // namespace bottle::docker
