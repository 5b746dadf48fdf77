#include "docker/http.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace bottle::docker {
namespace {
constexpr size_t kLineLimit = 64 << 10, kBodyLimit = 64 << 20;

std::string lower(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return text;
}
}  // namespace

Result<Connection> Connection::open(const std::string& socket, int timeout_ms) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket.size() >= sizeof address.sun_path) return fail(Code::limit, "the engine's socket path is too long: " + socket);
  std::memcpy(address.sun_path, socket.c_str(), socket.size() + 1);
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno("making a socket");
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return fail_errno("connecting to the engine at " + socket);
  return Connection(std::move(fd), timeout_ms);
}

Result<> Connection::send(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("sending to the engine");
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

Result<> Connection::request(const std::string& method, const std::string& target, const std::string& type, const std::string& body) {
  std::string head = method + " " + target + " HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n";
  if (!type.empty()) head += "Content-Type: " + type + "\r\n";
  if (method != "GET") head += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  return send(head + "\r\n" + body);
}

Result<> Connection::upgrade(const std::string& target) {
  return send("POST " + target + " HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n");
}

Result<> Connection::upload(const std::string& method, const std::string& target, const std::function<Result<size_t>(char*, size_t)>& reader) {
  TRY(send(method + " " + target +
           " HTTP/1.1\r\nHost: docker\r\nConnection: close\r\nContent-Type: application/x-tar\r\nTransfer-Encoding: chunked\r\n\r\n"));
  std::string buffer(256 << 10, '\0');
  for (;;) {
    size_t n = TRY(reader(buffer.data(), buffer.size()));
    char size[24];
    std::snprintf(size, sizeof size, "%zx\r\n", n);
    pollfd p{fd_.get(), POLLIN, 0};
    if (::poll(&p, 1, 0) > 0) return {};
    if (!send(size) || !send(std::string_view(buffer).substr(0, n)) || !send("\r\n")) return {};
    if (n == 0) return {};
  }
}

Result<bool> Connection::fill() {
  pollfd p{fd_.get(), POLLIN, 0};
  int ready;
  do ready = ::poll(&p, 1, timeout_ms_);
  while (ready < 0 && errno == EINTR);
  if (ready == 0) return fail(Code::timed_out, "the engine did not answer within " + std::to_string(timeout_ms_ / 1000) + " s");
  char bytes[65536];
  ssize_t n;
  do n = ::recv(fd_.get(), bytes, sizeof bytes, 0);
  while (n < 0 && errno == EINTR);
  if (n < 0) return fail_errno("reading from the engine");
  buffer_.append(bytes, static_cast<size_t>(n));
  return n > 0;
}

Result<std::string> Connection::line() {
  for (;;) {
    if (size_t end = buffer_.find("\r\n"); end != std::string::npos) {
      std::string text = buffer_.substr(0, end);
      buffer_.erase(0, end + 2);
      return text;
    }
    if (buffer_.size() > kLineLimit) return fail(Code::protocol, "the engine sent a line without an end");
    if (!TRY(fill())) return fail(Code::closed, "the engine closed the connection");
  }
}

Result<Response> Connection::head() {
  Response response;
  for (;;) {
    std::string status = TRY(line());
    if (!status.starts_with("HTTP/1.") || status.size() < 12) return fail(Code::protocol, "the engine's answer is no HTTP");
    response.status = std::atoi(status.c_str() + 9);
    response.headers.clear();
    for (std::string text = TRY(line()); !text.empty(); text = TRY(line())) {
      size_t colon = text.find(':');
      if (colon == std::string::npos) return fail(Code::protocol, "the engine sent a header without a colon");
      size_t value = text.find_first_not_of(' ', colon + 1);
      response.headers[lower(text.substr(0, colon))] = value == std::string::npos ? "" : text.substr(value);
      if (response.headers.size() > 200) return fail(Code::protocol, "the engine sent too many headers");
    }
    if (response.status == 101 || response.status >= 200) return response;
  }
}

Result<Response> Connection::response(const std::function<Result<>(std::string_view)>& writer) {
  Response response = TRY(head());
  auto take = [&](std::string_view bytes) -> Result<> {
    if (writer && response.status < 300) return writer(bytes);
    if (response.body.size() + bytes.size() > kBodyLimit) return fail(Code::limit, "the engine's answer is too large");
    response.body.append(bytes);
    return {};
  };
  auto take_exactly = [&](uint64_t left) -> Result<> {
    while (left > 0) {
      if (buffer_.empty() && !TRY(fill())) return fail(Code::closed, "the engine's answer ended early");
      size_t n = std::min<uint64_t>(left, buffer_.size());
      TRY(take(std::string_view(buffer_).substr(0, n)));
      buffer_.erase(0, n);
      left -= n;
    }
    return {};
  };
  if (response.status == 204 || response.status == 304) return response;
  if (lower(response.headers["transfer-encoding"]) == "chunked") {
    for (;;) {
      std::string size = TRY(line());
      char* end = nullptr;
      uint64_t n = std::strtoull(size.c_str(), &end, 16);
      if (end == size.c_str()) return fail(Code::protocol, "the engine sent a bad chunk");
      if (n == 0) return response;
      TRY(take_exactly(n));
      TRY(line());
    }
  }
  if (auto it = response.headers.find("content-length"); it != response.headers.end()) {
    TRY(take_exactly(std::strtoull(it->second.c_str(), nullptr, 10)));
    return response;
  }
  do {
    TRY(take(buffer_));
    buffer_.clear();
  } while (TRY(fill()));
  return response;
}

}  // namespace bottle::docker
