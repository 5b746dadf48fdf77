// Names of headers, as programs behind a gateway see them. Pure.
#pragma once

#include <string>
#include <string_view>

namespace bottle::policy {

// As CGI and PHP name their variables: letters and digits stay, as small letters, and everything else is "_".
inline std::string folded_header(std::string_view name) {
  std::string out;
  for (char c : name) {
    char small = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    out += (small >= 'a' && small <= 'z') || (small >= '0' && small <= '9') ? small : '_';
  }
  return out;
}

}  // namespace bottle::policy
