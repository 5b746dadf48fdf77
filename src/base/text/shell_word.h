// Makes commands that a person can paste into a shell.
#pragma once

#include <string>
#include <string_view>

namespace bottle {

// Quotes the text as one word for a shell, unless it needs no quotes.
std::string shell_word(std::string_view text);

}  // namespace bottle
