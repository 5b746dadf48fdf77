// Converts text to lower case.
#pragma once

#include <string>
#include <string_view>

namespace bottle {

// Returns the text with the letters A to Z in lower case. Other characters stay as they are, in every locale.
inline std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return out;
}

}  // namespace bottle
