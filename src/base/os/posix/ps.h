// Runs ps(1), which is the only way in POSIX to learn about other processes.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/error.h"

namespace bottle {

// Returns one field (`ps -o FIELD -p PID`) without surrounding spaces, or an empty string if there is no such process.
// Fails if ps does not run or has an error. Blocks until ps exits, which takes a few milliseconds.
Result<std::string> ask_ps(pid_t pid, const std::string& field);

}  // namespace bottle
