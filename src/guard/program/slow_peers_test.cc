// These tests have clients that request much data and do not read it. What is held for them must be bounded, including
// the kernel's buffers.
#include <algorithm>

#include "guard/program/guard_test.h"

namespace bottle::guard {
namespace {

using namespace std::chrono_literals;

constexpr size_t kAnswer = 64 << 20;  // the bytes that each client requests

// Answers all clients at once, each as fast as it reads, and counts the bytes that were sent.
class Flood {
 public:
  Flood() {
    fd_ = listen_on_loopback(port);
    acceptor_ = std::thread([this] {
      for (int fd; (fd = accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) {
        int little = 4096;  // so that what it has sent is elsewhere
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &little, sizeof little);
        clients_.emplace_back(fd);
        threads_.emplace_back([this, fd] { answer(fd); });
      }
    });
  }
  ~Flood() {
    shutdown(fd_.get(), SHUT_RDWR);
    acceptor_.join();
    for (auto& client : clients_) shutdown(client.get(), SHUT_RDWR);
    for (auto& thread : threads_) thread.join();
  }
  uint16_t port = 0;
  std::atomic<size_t> sent = 0;

 private:
  void answer(int fd) {
    char buffer[65536];
    if (recv(fd, buffer, sizeof buffer, 0) <= 0) return;
    std::string head = "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(kAnswer) + "\r\n\r\n";
    if (!write_all(fd, head)) return;
    std::string some(16384, 'x');
    for (size_t left = kAnswer; left > 0;) {
      ssize_t n = send(fd, some.data(), std::min(some.size(), left), MSG_NOSIGNAL);
      if (n <= 0) return;
      sent += static_cast<size_t>(n);
      left -= static_cast<size_t>(n);
    }
  }

  UniqueFd fd_;
  std::thread acceptor_;
  std::vector<UniqueFd> clients_;
  std::vector<std::thread> threads_;
};

class SlowReadersTest : public GuardTest {
 protected:
  // Starts a client that is fast at first, so that the kernel has learned to give it large buffers.
  UniqueFd ask(size_t quick, size_t& got) {
    UniqueFd fd = dial_loopback(port_);
    int little = 32 << 10;  // so that its own buffers hold little
    setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &little, sizeof little);
    EXPECT_TRUE(write_all(fd.get(), "GET http://site.test/ HTTP/1.1\r\nHost: site.test\r\n\r\n"));
    char buffer[65536];
    for (size_t all = 0; all < quick;) {
      ssize_t n = recv(fd.get(), buffer, sizeof buffer, 0);
      if (n <= 0) {
        ADD_FAILURE() << "the guard stopped after " << all << " bytes";
        break;
      }
      all += static_cast<size_t>(n);
      got += static_cast<size_t>(n);
    }
    return fd;
  }
};

TEST_F(SlowReadersTest, AreGivenNoMoreThanTheGuardsContainerHas) {
  Flood site;
  route("site.test", site.port);
  allow({{"host", "site.test"}, {"ports", {80}}});
  start();
  std::vector<UniqueFd> clients;
  size_t got = 0;
  for (int i = 0; i < 200; ++i) clients.push_back(ask(512 << 10, got));
  for (size_t before = 0; before != site.sent; std::this_thread::sleep_for(500ms)) before = site.sent;
  // These bytes are between the site and the clients: in the guard, its sockets and the clients' sockets.
  size_t held = site.sent - got;
  RecordProperty("held", static_cast<int>(held >> 20));
  EXPECT_LT(held, 256u << 20) << (held >> 20) << " MB";
}

}  // namespace
}  // namespace bottle::guard
