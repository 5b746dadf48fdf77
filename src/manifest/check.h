// Checks a document against the table of keys for its section. The error is the first problem.
#pragma once

#include <string_view>

#include "manifest/format/document.h"

namespace bottle::manifest {

Result<> check(const Node& node, std::string_view section);

}  // namespace bottle::manifest
