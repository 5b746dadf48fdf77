// Implements the plain relay with which the guard's blind tunnels are compared. It accepts a connection, reads one
// CONNECT head, connects, and splices in both directions with epoll. It has no rules, names, audit or timers, so it
// shows the least work that any proxy must do.
//   bench_relay LISTEN UPSTREAM [PIPE_BYTES]
#include <fcntl.h>
#include <sys/epoll.h>

#include <csignal>
#include <string>
#include <vector>

#include "net.h"

namespace {

using namespace bench;

int g_epoll, g_pipe_bytes = 0;

struct Pair;

struct End {
  Pair* pair;
  int fd = -1;
  int pipe[2] = {-1, -1};  // what was read here, on its way to the other end
  size_t in_pipe = 0;
  bool readable = false, writable = false, eof = false, shut = false;
};

struct Pair {
  End client{this}, upstream{this};
  std::string head;
  bool open = false;  // past the CONNECT
  bool dead = false, queued = false;
};

std::vector<Pair*> g_queue;  // stopped only so that the others have their turn

void watch(End& end, int fd) {
  end.fd = fd;
  epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.ptr = &end}};
  if (epoll_ctl(g_epoll, EPOLL_CTL_ADD, fd, &event) != 0) die("epoll_ctl");
}

void close_end(End& end) {
  for (int fd : {end.fd, end.pipe[0], end.pipe[1]})
    if (fd >= 0) close(fd);
  end.fd = end.pipe[0] = end.pipe[1] = -1;
}

// Moves as many bytes as possible. Returns false if the connection is broken.
bool pump(End& from, End& to) {
  for (int round = 0;; ++round) {
    if (round == 8) {
      if (!from.pair->queued) g_queue.push_back(from.pair);
      from.pair->queued = true;
      return true;
    }
    while (from.in_pipe > 0 && to.writable) {
      ssize_t n = splice(from.pipe[0], nullptr, to.fd, nullptr, from.in_pipe, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
      if (n > 0) from.in_pipe -= static_cast<size_t>(n);
      else if (n < 0 && errno == EAGAIN) to.writable = false;
      else return false;
    }
    if (from.in_pipe > 0 || from.eof || !from.readable) break;
    if (from.pipe[0] < 0) {
      if (pipe2(from.pipe, O_CLOEXEC | O_NONBLOCK) != 0) die("pipe2");
      if (g_pipe_bytes) fcntl(from.pipe[1], F_SETPIPE_SZ, g_pipe_bytes);
    }
    ssize_t n = splice(from.fd, nullptr, from.pipe[1], nullptr, 256 * 1024, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    if (n > 0) from.in_pipe += static_cast<size_t>(n);
    else if (n == 0) from.eof = true;
    else if (errno == EAGAIN) from.readable = false;
    else return false;
  }
  if (from.eof && from.in_pipe == 0 && !from.shut && to.fd >= 0) {
    shutdown(to.fd, SHUT_WR);
    from.shut = true;
  }
  return true;
}

bool take_head(Pair& pair, const sockaddr_in& upstream) {
  char buffer[4096];
  ssize_t n = recv(pair.client.fd, buffer, sizeof buffer, 0);
  if (n < 0 && errno == EAGAIN) {
    pair.client.readable = false;
    return true;
  }
  if (n <= 0) return false;
  pair.head.append(buffer, static_cast<size_t>(n));
  if (!pair.head.ends_with("\r\n\r\n")) return pair.head.size() < 16384;
  if (!pair.head.starts_with("CONNECT ")) return false;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) die("socket");
  no_delay(fd);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&upstream), sizeof upstream) != 0 && errno != EINPROGRESS) {
    close(fd);
    return false;
  }
  watch(pair.upstream, fd);
  return true;
}

bool step(Pair& pair, const sockaddr_in& upstream) {
  if (pair.upstream.fd < 0) return !pair.client.readable || take_head(pair, upstream);
  if (!pair.upstream.writable && !pair.open) return true;
  if (!pair.open) {
    constexpr std::string_view kOk = "HTTP/1.1 200 Connection established\r\n\r\n";
    if (send(pair.client.fd, kOk.data(), kOk.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(kOk.size())) return false;
    pair.open = true;
    std::string().swap(pair.head);
  }
  if (!pump(pair.client, pair.upstream) || !pump(pair.upstream, pair.client)) return false;
  return !(pair.client.shut && pair.upstream.shut);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  std::signal(SIGPIPE, SIG_IGN);
  sockaddr_in upstream = loopback(argv[2]);
  if (argc > 3) g_pipe_bytes = std::atoi(argv[3]);
  g_epoll = epoll_create1(EPOLL_CLOEXEC);
  int listener = listen_at(loopback(argv[1]));
  epoll_event accepting{.events = EPOLLIN, .data = {.ptr = nullptr}};
  epoll_ctl(g_epoll, EPOLL_CTL_ADD, listener, &accepting);
  epoll_event events[256];
  std::vector<Pair*> dead, queue;
  auto turn = [&](Pair& pair) {
    if (pair.dead || step(pair, upstream)) return;
    pair.dead = true;  // other events of this batch may name it
    close_end(pair.client);
    close_end(pair.upstream);
    dead.push_back(&pair);
  };
  while (true) {
    int count = epoll_wait(g_epoll, events, 256, g_queue.empty() ? -1 : 0);
    for (int i = 0; i < count; ++i) {
      auto* end = static_cast<End*>(events[i].data.ptr);
      if (!end) {
        for (int fd; (fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
          no_delay(fd);
          watch((new Pair)->client, fd);
        }
        continue;
      }
      if (events[i].events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) end->readable = true;
      if (events[i].events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) end->writable = true;
      turn(*end->pair);
    }
    queue.swap(g_queue);
    for (Pair* pair : queue) {
      pair->queued = false;
      turn(*pair);
    }
    queue.clear();
    std::erase_if(g_queue, [](Pair* pair) { return pair->dead; });
    for (Pair* pair : dead) delete pair;
    dead.clear();
  }
}
