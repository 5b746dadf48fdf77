// Characters that some servers turn into others, or drop. Pure.
#pragma once

#include <string>
#include <string_view>

namespace bottle::policy {

// What is wrong with the characters of a decoded path, or null: it is not UTF-8 (overlong forms and surrogates
// included), or holds a control character, a line separator, or one that a server may turn into a dot, a slash or
// another delimiter (compatibility forms of Unicode, and what old code pages make of similar ones).
const char* judge_characters(std::string_view text);

// Without spaces and characters that cannot be seen, all of which some file systems drop. `text` is UTF-8.
std::string without_the_invisible(std::string_view text);

}  // namespace bottle::policy
