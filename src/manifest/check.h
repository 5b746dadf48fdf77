// Whether a document has the shape that the table of keys gives its section; the first thing wrong is the error.
#pragma once

#include <string_view>

#include "manifest/document.h"

namespace bottle::manifest {

Result<> check(const Node& node, std::string_view section);

}  // namespace bottle::manifest
