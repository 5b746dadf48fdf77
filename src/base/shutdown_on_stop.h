// Ends blocking calls on a socket when a stop is requested.
#pragma once

#include <sys/socket.h>

#include <functional>
#include <stop_token>

namespace bottle {

// Shuts down a socket as soon as `stop` is requested, which ends any wait for the socket. The socket must stay open as
// long as this object exists.
class ShutdownOnStop {
 public:
  // Shuts down immediately if the stop has already been requested. The callback runs in the thread that requests the
  // stop; the destructor waits for it.
  ShutdownOnStop(const std::stop_token& stop, int socket)
      : callback_(stop, [socket] { ::shutdown(socket, SHUT_RDWR); }) {}

 private:
  std::stop_callback<std::function<void()>> callback_;
};

}  // namespace bottle
