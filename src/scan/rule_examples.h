// Fills in the random parts of the rules' examples and tests the examples. Pure: the randomness
// comes from a seed.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/progress.h"
#include "scan/detector.h"

namespace bottle::scan {

// Returns `text` with <CLASS COUNT> replaced by COUNT random characters of a class, <uuid> and similar names by a
// random value of that kind, and \n by a line end. Unknown names in angle brackets stay unchanged. docs/rules.md lists
// the classes.
std::string filled(std::string_view text, uint32_t seed);

// Tries every example of the rules, which must be in the catalog, with `seeds` different fillings. Returns a sentence
// with the line number for each example that should be found and is not, or is found and should not be. Calls
// `progress`, if there is one, before each example, with its line and the rule's id.
std::vector<std::string> wrong_examples(Catalog& catalog, std::span<const Rule> rules, uint32_t seeds,
                                        const Progress& progress = {});

}  // namespace bottle::scan
