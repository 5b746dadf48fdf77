// Declares the main function of the far side.
#pragma once

#include <string>
#include <vector>

namespace bottle::app {

// Runs `bottle far WORDS` (remote/far/far.h). Returns the exit status.
int run_far(const std::vector<std::string>& words);

}  // namespace bottle::app
