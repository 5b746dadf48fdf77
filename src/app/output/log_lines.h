// Formats the decisions and results of sessions as lines for people. The agent chose hosts, paths and reasons, so no
// part of them may reach the terminal as a command.
#pragma once

#include <string>
#include <vector>

#include "base/text/line.h"
#include "wire/guard/decision.h"
#include "wire/result.h"

namespace bottle::app {

// Returns one decision of the guard: time, action, target, reason. The line has no line end.
Line egress_line(const wire::Decision& decision);

// Returns what was used of a host, such as "api.example.org: 3 requests, 4096 bytes up".
std::string used_line(const wire::ShownUsage& use);

// Returns what a person should look at before running anything that came back, with a heading, or nothing. Print these
// lines last, so that they are read.
std::vector<Line> inspection_lines(const wire::WorkResult& back);

// Returns a session's result: how it ended, what came back, what was blocked, and whether everything is gone.
std::vector<Line> result_lines(const wire::SessionResult& result);

}  // namespace bottle::app
