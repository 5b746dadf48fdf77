// A stranger's bytes on a terminal.
#pragma once

#include <string>
#include <string_view>

namespace bottle {

// What a person may see of them: no control characters, at most `most` bytes.
std::string printable(std::string_view text, size_t most = 400);

}  // namespace bottle
