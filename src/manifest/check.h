// Checks a document against the table of keys for its section.
#pragma once

#include <string_view>
#include <vector>

#include "manifest/format/document.h"

namespace bottle::manifest {

// A list of mistakes does not become longer than this. The file may come from a repository.
constexpr size_t kMostMistakes = 100;

// Checks a node as a section of the table (keys.h), with everything below it. Returns an error with Code::invalid and a
// position for each unknown key, value of the wrong type, empty list that must not be empty, and required key that is
// missing, up to kMostMistakes. An empty document passes if no key is required.
std::vector<Error> mistakes_in(const Node& node, std::string_view section);
// Does the same, but fails with the first of them.
Result<> check(const Node& node, std::string_view section);

}  // namespace bottle::manifest
