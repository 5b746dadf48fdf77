// Asks ps(1), which is how POSIX tells about other processes.
#pragma once

#include <sys/types.h>

#include <string>

namespace bottle {

// Returns one field (`ps -o FIELD -p PID`) without spaces around it, or nothing if there is no such process. Takes some
// milliseconds. Blocks for as long as ps does.
std::string ask_ps(pid_t pid, const std::string& field);

}  // namespace bottle
