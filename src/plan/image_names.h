// Names each image that bottle makes after its ingredients, so that a change of them leads to another image.
#pragma once

#include <string>

#include "plan/plan.h"

namespace bottle::plan {

// Returns the reference of an image from a Dockerfile. `hash` is the content hash of the file. The reference depends on
// the path as well, because a Dockerfile with the same text may copy from another directory.
std::string dockerfile_reference(const std::string& path, const std::string& hash, const ImageFacts& facts);

}  // namespace bottle::plan
