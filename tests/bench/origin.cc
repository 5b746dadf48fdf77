// Implements the server behind blind tunnels. It treats the first bytes as a ClientHello, answers with BYTES bytes
// (with 0, endlessly until the client leaves), and reads to the end of the client's stream.
//   bench_origin LISTEN BYTES
#include <sys/epoll.h>

#include <string>

#include "net.h"

namespace {

using namespace bench;

struct Peer {
  int fd;
  bool asked = false;
  size_t left = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  int listener = listen_at(loopback(argv[1])), epoll = epoll_create1(EPOLL_CLOEXEC);
  size_t bytes = std::strtoul(argv[2], nullptr, 10);
  bool endless = bytes == 0;
  static char buffer[256 * 1024];
  std::memset(buffer, 'x', sizeof buffer);
  static char sink[65536];
  epoll_event accepting{.events = EPOLLIN, .data = {.ptr = nullptr}};
  epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &accepting);
  epoll_event events[256];
  while (true) {
    int count = epoll_wait(epoll, events, 256, -1);
    for (int i = 0; i < count; ++i) {
      auto* peer = static_cast<Peer*>(events[i].data.ptr);
      if (!peer) {
        for (int fd; (fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
          no_delay(fd);
          epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.ptr = new Peer{fd}}};
          epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
        }
        continue;
      }
      bool over = false;
      for (ssize_t n; (n = recv(peer->fd, sink, sizeof sink, 0)) != -1;) {
        if (n == 0) {
          over = true;
          break;
        }
        if (!peer->asked) peer->left = bytes;
        peer->asked = true;
      }
      if (errno != EAGAIN && !over) over = true;
      // Sends a few pieces at a time, so that one stream does not starve the others. Each acknowledgment causes
      // another edge-triggered event.
      while (!over && peer->asked && (endless || peer->left > 0)) {
        ssize_t n = send(peer->fd, buffer, endless ? sizeof buffer : std::min(peer->left, sizeof buffer), MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) break;
        if (n < 0) over = true;
        else if (!endless) peer->left -= static_cast<size_t>(n);
      }
      if (over) {
        close(peer->fd);
        delete peer;
      }
    }
  }
}
