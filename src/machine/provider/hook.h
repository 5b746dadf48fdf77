// One call of one hook of a provider: a program that prints one JSON object. See docs/providers.md.
#pragma once

#include <functional>
#include <string>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "machine/provider/answers.h"
#include "machine/provider/places.h"

namespace bottle::machine {

// A line for a person, free of control characters.
using Progress = std::function<void(const std::string&)>;

struct HookCall {
  std::string program;
  Environment environment;  // all there is
  int timeout_ms = 60000;
  int stdin_fd = -1;                     // its stdin; without one, /dev/null
  std::function<void(int pid)> started;  // it runs, as the leader of a process group of its own
};

// Runs it to its end. Its stderr goes to `progress` line by line. The exit statuses of the contract become codes:
//   75 unavailable (try again) · 73 limit (quota, capacity) · 77 denied · 78 invalid (not set up) · other internal
// and timed_out, limit (more than 1 MB on stdout), protocol (not one JSON object), each with the hook's last words.
Result<nlohmann::json> run_hook(const HookCall& call, const Progress& progress);

}  // namespace bottle::machine
