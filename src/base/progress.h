// Names the type of callbacks that show the operator what is being done.
#pragma once

#include <functional>
#include <string>

namespace bottle {

// Receives a line of text for the operator about what is being done, or about what was not possible.
using Progress = std::function<void(const std::string& line)>;

}  // namespace bottle
