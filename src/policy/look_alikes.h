// Recognizes the characters that some servers turn into others, or drop. Pure.
#pragma once

#include <string>
#include <string_view>

namespace bottle::policy {

// Says what is wrong with the characters of a decoded path, or returns null. The path must be UTF-8 without overlong
// forms and surrogates. It must not contain a control character, a line separator, or a character that a server may
// turn into a dot, a slash or another delimiter, by Unicode compatibility forms or by an old code page.
const char* judge_characters(std::string_view text);

// Removes spaces and invisible characters, because some file systems drop them. `text` is UTF-8.
std::string without_the_invisible(std::string_view text);

}  // namespace bottle::policy
