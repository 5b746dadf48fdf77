// Child processes, without a shell, reaped by whoever started them.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"

namespace bottle::session {

struct Captured {
  int status = 0;  // exit status, or 128+signal
  std::string text;
};

// Runs argv with the caller's environment, its stdout captured (16 MB at most), stderr passed through. Blocks; after
// `timeout_ms` the child is killed and the error is Code::timed_out.
Result<Captured> capture(const std::vector<std::string>& argv, int timeout_ms);

// Runs argv attached to this process's terminal and waits. The exit status, or 128+signal.
Result<int> run(const std::vector<std::string>& argv);

}  // namespace bottle::session
