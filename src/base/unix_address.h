// Builds the address of a Unix socket.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <string>

#include "base/error.h"

namespace bottle {

// Fails with Code::limit if the path is longer than the kernel allows (108 bytes on Linux, 104 on macOS).
Result<sockaddr_un> unix_address(const std::string& path);

}  // namespace bottle
