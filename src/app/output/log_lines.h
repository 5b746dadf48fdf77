// What sessions leave, as lines for people. Hosts, paths and reasons are an agent's words: nothing in them reaches the
// terminal as a command.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/line.h"

namespace bottle::app {

// One decision of the guard: time, what, where, why. Without a line end; empty for what is no decision.
std::string egress_line(const nlohmann::json& entry);

// A session's result: how it ended, what came back, what was blocked, whether all is gone.
std::vector<Line> result_lines(const nlohmann::json& result);

}  // namespace bottle::app
