// Supports tests of the guard program: the peers that its clients and servers are, on loopback.
#pragma once

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <functional>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>

#include "base/files/file.h"
#include "base/unique_fd.h"
#include "guard/net/tls.h"
#include "http/body.h"

namespace bottle::guard {

// Sends small writes immediately, as the programs of agents do. Otherwise the second write waits up to 40 ms for an
// acknowledgment.
inline void send_at_once(int fd) {
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

// Returns a bound socket on a free port, which listens if it is a stream socket.
inline UniqueFd listen_on_loopback(uint16_t& port, int type = SOCK_STREAM) {
  UniqueFd fd(socket(AF_INET, type | SOCK_CLOEXEC, 0));
  sockaddr_in a{.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&a), sizeof a), 0);
  socklen_t size = sizeof a;
  getsockname(fd.get(), reinterpret_cast<sockaddr*>(&a), &size);
  port = ntohs(a.sin_port);
  if (type == SOCK_STREAM) {
    send_at_once(fd.get());  // accepted sockets inherit it
    listen(fd.get(), 64);
  }
  return fd;
}

// How long a test waits for what must come. A test that waits in vain fails and does not hang.
inline constexpr int kPatienceMs = 60'000;

// Waits until `done` returns true, and returns whether it did.
inline bool comes_true(const std::function<bool()>& done) {
  for (int waited = 0; waited < kPatienceMs && !done(); ++waited)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return done();
}

// Returns an address of this machine that only this process uses, so that its ports are free.
inline std::string own_address() {
  auto id = static_cast<unsigned>(getpid());
  auto part = [](unsigned number) { return "." + std::to_string(number & 255); };
  return "127" + part(64 | (id >> 16 & 63)) + part(id >> 8) + part(id);
}

// Connects, and makes reads fail after kPatienceMs.
inline UniqueFd dial_loopback(uint16_t port, const std::string& address = "127.0.0.1") {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  timeval t{kPatienceMs / 1000, 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
  send_at_once(fd.get());
  sockaddr_in a{.sin_family = AF_INET, .sin_port = htons(port)};
  inet_pton(AF_INET, address.c_str(), &a.sin_addr);
  EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&a), sizeof a), 0);
  return fd;
}

class Listener;

// A blocking byte stream, with or without TLS.
struct TestPeer {
  UniqueFd fd;
  Ssl ssl;
  std::string in;
  std::shared_ptr<Listener> listed;  // destroyed before the descriptor is closed

  // Blocks until all bytes are written. Returns false if the connection ended.
  bool write(std::string_view bytes) {
    if (!ssl) return write_all(fd.get(), bytes).has_value();
    while (!bytes.empty()) {  // the guard's contexts may write only a part
      int n = SSL_write(ssl.get(), bytes.data(), static_cast<int>(bytes.size()));
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }
  // Blocks until bytes arrive, and appends them to `in`. Returns false at the end, after an error, and when reading
  // took too long.
  bool more() {
    char buffer[16384];
    ssize_t n = ssl ? SSL_read(ssl.get(), buffer, sizeof buffer) : recv(fd.get(), buffer, sizeof buffer, 0);
    if (n <= 0) return false;
    in.append(buffer, static_cast<size_t>(n));
    return true;
  }
  // Reads until the connection ends, and returns everything since the last message.
  std::string to_end() {
    while (more()) {
    }
    return std::exchange(in, {});
  }
  // Reads only the head of a message.
  std::string head() {
    while (in.find("\r\n\r\n") == std::string::npos && more()) {
    }
    std::string whole = in.substr(0, in.find("\r\n\r\n") + 4);
    in.erase(0, whole.size());
    return whole;
  }
  // Reads one message with a Content-Length, with chunks (which are kept), or without a body.
  std::string message() {
    size_t end;
    while ((end = in.find("\r\n\r\n")) == std::string::npos)
      if (!more()) return std::exchange(in, {});
    size_t need = end + 4;
    if (in.find("Transfer-Encoding: chunked\r\n") < end) {
      auto trailers = [&] { return std::min(in.find("\r\n0\r\n", end + 2), in.size()); };
      while (in.find("\r\n\r\n", trailers() + 3) == std::string::npos && more()) {
      }
      need = std::min(in.find("\r\n\r\n", trailers() + 3), in.size() - 4) + 4;
    }
    if (size_t at = in.find("Content-Length: "); at < end) need += std::stoul(in.substr(at + 16));
    while (in.size() < need)
      if (!more()) break;
    std::string whole = in.substr(0, need);
    in.erase(0, need);
    return whole;
  }
  void close() {
    ssl.reset();
    listed.reset();
    fd.reset();
  }
};

// A server's socket on loopback, and the connections that it has accepted.
class Listener {
 public:
  // Blocks until a client connects. Returns no descriptor after end().
  TestPeer accept() {
    TestPeer wire{UniqueFd(accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC)), {}, {}};
    int fd = wire.fd.get();
    if (fd < 0) return wire;
    timeval t{kPatienceMs / 1000, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
    std::lock_guard lock(mutex_);
    if (ended_) shutdown(fd, SHUT_RDWR);
    open_.insert(fd);
    wire.listed = std::shared_ptr<Listener>(this, [fd](Listener* self) {
      std::lock_guard lock(self->mutex_);
      self->open_.erase(fd);
      self->changed_.notify_all();
    });
    return wire;
  }
  // Waits until the server has closed all connections, for kPatienceMs at most.
  bool wait_until_closed() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::milliseconds(kPatienceMs), [&] { return open_.empty(); });
  }
  // Ends all connections, so that the server does not wait for clients that keep theirs.
  void end() {
    shutdown(socket_.get(), SHUT_RDWR);
    std::lock_guard lock(mutex_);
    ended_ = true;
    for (int fd : open_) shutdown(fd, SHUT_RDWR);
  }
  uint16_t port = 0;

 private:
  UniqueFd socket_ = listen_on_loopback(port);
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<int> open_;
  bool ended_ = false;
};

// An origin server that answers each message with the result of `handler`, which one connection at a time calls.
class Origin {
 public:
  Origin(SessionCa* ca, std::string host, std::function<std::string(const std::string&)> handler)
      : handler_(std::move(handler)) {
    port = listener_.port;
    thread_ = std::thread([this, ca, host = std::move(host)] {
      std::vector<std::thread> connections;
      while (true) {
        TestPeer wire = listener_.accept();
        if (!wire.fd) break;
        ++accepted;
        if (ca) wire.ssl = std::move(*ca->accept({host, false}, Offer::http1));
        connections.emplace_back([this, wire = std::move(wire)]() mutable { serve(wire); });
      }
      for (auto& connection : connections) connection.join();
    });
  }
  ~Origin() {
    listener_.end();
    thread_.join();
  }
  // Returns the message that arrived last, as it was on the wire.
  std::string last() {
    std::lock_guard lock(mutex_);
    return last_;
  }
  uint16_t port = 0;
  std::atomic<int> accepted = 0;

 private:
  void serve(TestPeer& wire) {
    if (wire.ssl) {
      SSL_set_fd(wire.ssl.get(), wire.fd.get());
      if (SSL_accept(wire.ssl.get()) != 1) return;
    }
    for (std::string request; !(request = wire.message()).empty();) {
      {
        std::lock_guard lock(mutex_);
        last_ = request;
      }
      std::unique_lock lock(handling_);
      std::string answer = handler_(request);
      lock.unlock();
      if (!wire.write(answer)) break;
    }
  }

  Listener listener_;
  std::string last_;
  std::function<std::string(const std::string&)> handler_;
  std::mutex mutex_, handling_;
  std::thread thread_;
};

// An origin server that passes each connection to `serve`, one after the other, after it has read the first message or
// its head.
class RawOrigin {
 public:
  enum class After { message, head };
  // Speaks no TLS if `ca` is null.
  RawOrigin(SessionCa* ca, std::string host, std::function<void(TestPeer&, const std::string& head)> serve,
            After after = After::message) {
    port = listener_.port;
    thread_ = std::thread([this, ca, host = std::move(host), serve = std::move(serve), after] {
      while (true) {
        TestPeer wire = listener_.accept();
        if (!wire.fd) return;
        if (ca) {
          wire.ssl = std::move(*ca->accept({host, false}, Offer::http1));
          SSL_set_fd(wire.ssl.get(), wire.fd.get());
          if (SSL_accept(wire.ssl.get()) != 1) continue;
        }
        ++accepted;
        std::string first = after == After::head ? wire.head() : wire.message();
        if (!first.empty()) serve(wire, first);
        if (wire.ssl) SSL_shutdown(wire.ssl.get());
      }
    });
  }
  ~RawOrigin() {
    listener_.end();
    thread_.join();
  }
  bool wait_until_closed() { return listener_.wait_until_closed(); }
  uint16_t port = 0;
  std::atomic<int> accepted = 0;

 private:
  Listener listener_;
  std::thread thread_;
};

inline std::string ok(std::string_view body) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

// Returns the body of a message, decoded if it is chunked.
inline std::string body_of(const std::string& message) {
  size_t end = message.find("\r\n\r\n");
  if (end == message.npos) return "";
  std::string body = message.substr(end + 4), payload;
  if (message.find("Transfer-Encoding: chunked\r\n") > end) return body;
  http::Body reader(http::Body::Kind::chunked);
  EXPECT_TRUE(reader.read(body, payload) && reader.done()) << message.substr(0, 1000);
  return payload;
}

}  // namespace bottle::guard
