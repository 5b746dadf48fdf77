// Declares what take_descriptor() needs from the operating system.
#pragma once

#include <sys/socket.h>

namespace bottle {

// Does what recvmsg(2) does, but never blocks, and keeps programs from inheriting the descriptors that arrive.
ssize_t receive_message(int socket, msghdr& message);

}  // namespace bottle
