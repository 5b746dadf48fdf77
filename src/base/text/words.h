// Trims and joins texts, and converts them to upper and lower case. The conversion changes only ASCII letters, whatever
// the locale is.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace bottle {

// Returns the text without the characters of `blank` at its end.
inline std::string_view trimmed_end(std::string_view text, std::string_view blank) {
  return text.substr(0, text.find_last_not_of(blank) + 1);
}

// Returns the text without the characters of `blank` at both of its ends.
inline std::string_view trimmed(std::string_view text, std::string_view blank = " \t") {
  text = trimmed_end(text, blank);
  text.remove_prefix(text.empty() ? 0 : text.find_first_not_of(blank));
  return text;
}

// Joins the words with `between`. Empty words at the beginning get no separator.
inline std::string joined(const std::vector<std::string>& words, std::string_view between = ", ") {
  std::string text;
  for (const auto& word : words) text.append(text.empty() ? "" : between).append(word);
  return text;
}

// Returns the text with the letters a to z in upper case.
inline std::string upper(std::string text) {
  for (char& c : text)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
  return text;
}

// Returns the text with the letters A to Z in lower case.
inline std::string lower(std::string_view text) {
  std::string out(text);
  // Without a branch, the compiler can process many characters with one instruction.
  for (char& c : out) c = static_cast<char>(c + (static_cast<unsigned char>(c - 'A') < 26 ? 32 : 0));
  return out;
}

}  // namespace bottle
