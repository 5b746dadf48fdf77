// Checks a document against the table of keys for its section. The error is the first problem.
#pragma once

#include <string_view>

#include "manifest/format/document.h"

namespace bottle::manifest {

// Checks a node as a section of the table (keys.h), with everything below it. Fails with Code::invalid and a position
// for an unknown key, a value of the wrong type, an empty list that must not be empty, or a required key that is
// missing. An empty document passes if no key is required.
Result<> check(const Node& node, std::string_view section);

}  // namespace bottle::manifest
