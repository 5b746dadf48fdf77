// Commands that a person can paste.
#pragma once

#include <string>
#include <string_view>

namespace bottle {

// The text so that a shell takes it as one word, as it is where nothing in it needs quoting.
std::string shell_word(std::string_view text);

}  // namespace bottle
