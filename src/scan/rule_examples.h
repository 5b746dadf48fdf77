// The examples of rules: their random parts, and the test that they are. Pure: what is random comes from a seed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "scan/detector.h"

namespace bottle::scan {

// `text` with <CLASS COUNT> replaced by COUNT random characters of a class, <uuid> and the like by one of those, and \n
// by a line end. What is not known in angle brackets stays as it is. docs/rules.md lists the classes.
std::string filled(std::string_view text, uint32_t seed);

// Tries every example of every rule in the catalog with `seeds` fillings, and says in a sentence what is wrong with
// each that is not found where it should be, or found where it should not.
std::vector<std::string> wrong_examples(Catalog& catalog, uint32_t seeds);

}  // namespace bottle::scan
