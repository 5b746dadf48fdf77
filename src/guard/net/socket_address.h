// Converts an endpoint to the form that the calls for sockets take. Pure.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

#include "policy/address.h"

namespace bottle::guard {

// Holds an IPv4 or IPv6 address with its port. There is no scope id, so a link-local IPv6 address cannot be reached.
class SocketAddress {
 public:
  explicit SocketAddress(const policy::Endpoint& endpoint) {
    const auto& bytes = endpoint.address.bytes;
    if (endpoint.address.v6) {
      v6_ = {.sin6_family = AF_INET6, .sin6_port = htons(endpoint.port)};
      std::memcpy(&v6_.sin6_addr, bytes.data(), sizeof v6_.sin6_addr);
      size_ = sizeof v6_;
    } else {
      v4_ = {.sin_family = AF_INET, .sin_port = htons(endpoint.port)};
      std::memcpy(&v4_.sin_addr, bytes.data(), sizeof v4_.sin_addr);
      size_ = sizeof v4_;
    }
  }
  // Return the arguments for connect(2), bind(2) and sendto(2). The pointer leads into this object.
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t size() const { return size_; }
  int family() const { return storage_.ss_family; }

 private:
  union {
    sockaddr_storage storage_{};
    sockaddr_in v4_;
    sockaddr_in6 v6_;
  };
  socklen_t size_ = 0;
};

}  // namespace bottle::guard
