// Runs a provider's hook, which is a program that prints one JSON object. See docs/providers.md.
#pragma once

#include <functional>
#include <map>
#include <stop_token>
#include <string>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/progress.h"
#include "machine/provider/answers.h"

namespace bottle::machine {

using Environment = std::map<std::string, std::string>;

// Describes one call of a hook. The caller keeps `stdin_fd`. The hook sees no other descriptor of this process.
struct HookCall {
  std::string program;
  Environment environment;  // the hook's whole environment
  int timeout_ms = 60000;
  int stdin_fd = -1;                     // the hook's stdin; if -1, it is /dev/null
  std::function<void(int pid)> started;  // called when the hook runs, as the leader of its own process group
  std::string input;                     // if not empty, what the hook reads from its stdin
  std::stop_token stop = {};             // ends the hook, which has 5 s to remove what it made: Code::canceled
};

// Runs the hook to its end. Passes its stderr to `progress` line by line, without control characters. The exit
// statuses of the contract become these codes:
//   75 unavailable (try again) · 73 limit (quota, capacity) · 77 denied · 78 invalid (not set up) · other internal
// Also fails with timed_out, limit (more than 1 MB on stdout) or protocol (not one JSON object). Each error has the
// hook's last lines.
Result<nlohmann::json> run_hook(const HookCall& call, const Progress& progress);

}  // namespace bottle::machine
