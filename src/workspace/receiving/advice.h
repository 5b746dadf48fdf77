// Tells the operator what came back, with commands that can be pasted.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "workspace/receiving/homecoming.h"

namespace bottle::workspace {

std::string advice(const Incoming& in, const Back& back, const std::vector<std::unique_ptr<Homecoming>>& all);

}  // namespace bottle::workspace
