// Tells the operator what came back, with commands that can be pasted.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "workspace/receiving/homecoming.h"

namespace bottle::workspace {

// Returns several lines that are safe to print. `all` begins with the workspace itself and must have been taken. Names
// from the agent's work are quoted for a shell. Reads the operator's directories to choose the commands, and changes
// nothing.
std::string advice(const Incoming& in, const ReceivedWork& back, const std::vector<std::unique_ptr<Homecoming>>& all);

}  // namespace bottle::workspace
