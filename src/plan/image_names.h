// Names the images that bottle makes by what they are made from, so that a change makes another image.
#pragma once

#include <string>

#include "plan/plan.h"

namespace bottle::plan {

// `hash` is that of the file's content. The reference depends on the path as well, because a Dockerfile with the same
// text may copy from another directory.
std::string dockerfile_reference(const std::string& path, const std::string& hash, const ImageFacts& facts);

}  // namespace bottle::plan
