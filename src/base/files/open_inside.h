// Declares what Beneath needs from the operating system. The folder of each system in base/os implements it.
#pragma once

#include <string>

namespace bottle {

// Opens a path below a directory, and follows links as long as they stay below it (openat2(2), RESOLVE_BENEATH). On
// failure, returns -1 and sets errno, which is ENOSYS if the system has no such call.
int open_inside(int root, const std::string& path, int flags);

}  // namespace bottle
