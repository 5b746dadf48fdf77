// Converts names of headers to the form in which programs behind a gateway see them. Pure.
#pragma once

#include <string>
#include <string_view>

namespace bottle::policy {

// Returns the name as CGI and PHP name their variables, but in lower case: every character except letters and digits
// becomes "_".
inline std::string folded_header(std::string_view name) {
  std::string out;
  for (char c : name) {
    char small = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    out += (small >= 'a' && small <= 'z') || (small >= '0' && small <= '9') ? small : '_';
  }
  return out;
}

}  // namespace bottle::policy
