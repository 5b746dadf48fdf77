// The address of a unix socket.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <string>

#include "base/error.h"

namespace bottle {

// Code::limit where the path is longer than the kernel takes (108 bytes on Linux, 104 on macOS).
Result<sockaddr_un> unix_address(const std::string& path);

}  // namespace bottle
