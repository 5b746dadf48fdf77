// The little of sockets that the bench's programs share. They end with a message at the first surprise: a figure
// measured past one would mean nothing.
#pragma once

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>

namespace bench {

[[noreturn]] inline void die(const std::string& doing) {
  std::fprintf(stderr, "bench: %s: %s\n", doing.c_str(), errno ? std::strerror(errno) : "not as expected");
  std::exit(1);
}

// "127.0.0.1:PORT"; the bench talks to nobody but this machine.
inline sockaddr_in loopback(const std::string& text) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  size_t colon = text.rfind(':');
  if (colon == std::string::npos || inet_pton(AF_INET, text.substr(0, colon).c_str(), &address.sin_addr) != 1 ||
      (ntohl(address.sin_addr.s_addr) >> 24) != 127) {
    errno = 0;
    die("the address " + text + " (only 127.0.0.0/8)");
  }
  address.sin_port = htons(static_cast<uint16_t>(std::atoi(text.c_str() + colon + 1)));
  return address;
}

inline int listen_at(const sockaddr_in& address) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;
  if (fd < 0) die("socket");
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 || listen(fd, 1024) != 0)
    die("listening");
  return fd;
}

inline void no_delay(int fd) {
  int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

// Returns a megabyte of text, or a megabyte that looks like an archive.
inline const std::string& content(bool packed) {
  static const std::string text = [] {
    std::string out;
    for (size_t i = 0; out.size() < 1 << 20; ++i)
      out += "Line " + std::to_string(i % 100) + " of a text such as people write: with words, and a few numbers.\n";
    return out;
  }();
  static const std::string bytes = [] {
    std::mt19937 random(7);
    std::string out;
    while (out.size() < 1 << 20) out += static_cast<char>(random());
    return out;
  }();
  return packed ? bytes : text;
}

}  // namespace bench
