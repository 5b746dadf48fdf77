// Real secrets are made by machines, and stand-ins by people. The functions look for the signs of people: words,
// counting, repetition, signs of templates, and few different characters.
#include "scan/credential/stand_in.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "base/text/lower.h"
#include "scan/credential/characters.h"

namespace bottle::scan {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_letter(char c) { return is_lower(c) || is_upper(c); }

size_t count_of(std::string_view text, const Set& set) {
  size_t count = 0;
  for (unsigned char c : text) count += set[c];
  return count;
}

// Returns whether more than half of the neighboring characters differ by at most one: they count up, count down, or are
// the same.
bool counts(std::string_view text) {
  if (text.size() < 6) return false;
  size_t steps = 0;
  for (size_t i = 1; i < text.size(); ++i) steps += std::abs(text[i] - text[i - 1]) <= 1;
  return steps * 2 > text.size();
}

// Returns whether the text repeats one piece.
bool repeats(std::string_view text) {
  for (size_t period = 1; period <= std::min<size_t>(text.size() / 2, 16); ++period)
    if (text[0] == text[period] && text.substr(period) == text.substr(0, text.size() - period)) return true;
  return false;
}

// Returns whether the text contains such a word in one case. In random letters of both cases, every short word occurs
// now and then.
bool names_itself(std::string_view text) {
  static constexpr std::array kWords = std::to_array<const char*>(
      {"example",  "xxxx",   "your",       "placeholder", "changeme", "change_me", "change-me",
       "redacted", "dummy",  "sample",     "fake",        "00000000", "11111111",  "....",
       "****",     "insert", "replace",    "abcdefgh",    "12345678", "goes_here", "goes-here",
       "deadbeef", "foobar", "not-a-real", "notreal"});
  // A word can begin at every position of a value. One lookup of two characters rules out nearly all words.
  constexpr size_t kCodes = 4096;  // of two characters, by the low bits of both
  auto code = [](std::string_view word) { return static_cast<size_t>((word[0] & 63) << 6 | (word[1] & 63)); };
  struct Words {
    std::vector<std::string> all;           // in the order of their codes
    std::array<uint8_t, kCodes + 1> first;  // the index of the first word with this or a higher code
  };
  static const Words kBothCases = [&] {
    Words words{.all = {kWords.begin(), kWords.end()}, .first = {}};
    for (std::string word : kWords) {
      for (char& c : word)
        if (is_lower(c)) c = static_cast<char>(c - 32);
      words.all.push_back(std::move(word));
    }
    std::ranges::sort(words.all, {}, code);
    for (size_t i = 0, index = 0; i <= kCodes; ++i) {
      while (index < words.all.size() && code(words.all[index]) < i) ++index;
      words.first[i] = static_cast<uint8_t>(index);
    }
    return words;
  }();
  for (size_t at = 0; at + 1 < text.size(); ++at) {
    std::string_view rest = text.substr(at);
    size_t here = code(rest);
    for (size_t index = kBothCases.first[here]; index < kBothCases.first[here + 1]; ++index)
      if (rest.starts_with(kBothCases.all[index])) return true;
  }
  return false;
}

// Returns whether the part is a word, a version or part of a name: letters of one case or capitalized, with at most a
// few digits.
bool is_word(std::string_view part) {
  size_t letters = 0;
  while (letters < part.size() && is_letter(part[letters])) ++letters;
  bool digits = std::all_of(part.begin() + static_cast<std::ptrdiff_t>(letters), part.end(), is_digit);
  if (!digits || part.size() - letters > 4) return false;
  // camelCase has capitals only at the beginning of words. Random text has them everywhere, with single small letters
  // between them.
  size_t turns = 0;
  for (size_t i = 1; i < letters; ++i) {
    turns += is_upper(part[i]) && is_lower(part[i - 1]);
    turns += i + 1 < letters && is_lower(part[i]) && is_upper(part[i - 1]) && is_upper(part[i + 1]);
  }
  static constexpr Set kVowels = set_of("aeiouyAEIOUY");
  size_t vowels = count_of(part, kVowels);
  return turns * 4 <= letters + 4 && (turns < 2 || vowels * 4 >= letters);
}

bool is_monotonous(std::string_view token) {
  return distinct(token) < std::min<size_t>(8, token.size() / 3) || counts(token) || repeats(token);
}

// Returns whether there are only words between the delimiters.
bool is_words(std::string_view text) {
  static constexpr Set kDelimiters = set_of("-_./:@+=,");
  for (size_t begin = 0, end; begin < text.size(); begin = end + 1) {
    for (end = begin; end < text.size() && !kDelimiters[static_cast<unsigned char>(text[end])];) ++end;
    if (!is_word(text.substr(begin, end - begin))) return false;
  }
  return true;
}

}  // namespace

size_t distinct(std::string_view text) {
  uint64_t low = 0, high = 0, others[2] = {};  // the first two stay in registers
  for (unsigned char c : text) {
    uint64_t bit = uint64_t{1} << c % 64;
    low |= c < 64 ? bit : 0;
    high |= c >= 64 && c < 128 ? bit : 0;
    if (c >= 128) [[unlikely]]
      others[c / 64 - 2] |= bit;
  }
  return static_cast<size_t>(std::popcount(low) + std::popcount(high) + std::popcount(others[0]) +
                             std::popcount(others[1]));
}

double entropy(std::string_view text) {
  constexpr size_t kMost = 512;
  static const auto kMore = [] {  // the difference between (n + 1) * log2(n + 1) and n * log2(n)
    std::array<double, kMost> table{};
    auto times_log = [](size_t n) { return n ? static_cast<double>(n) * std::log2(static_cast<double>(n)) : 0; };
    for (size_t n = 0; n < kMost; ++n) table[n] = times_log(n + 1) - times_log(n);
    return table;
  }();
  text = text.substr(0, kMost);
  std::array<uint16_t, 256> counts{};
  double sum = 0, size = static_cast<double>(text.size());
  for (unsigned char c : text) sum += kMore[counts[c]++];
  return text.empty() ? 0 : std::log2(size) - sum / size;
}

bool is_stand_in(std::string_view token) {
  if (token.size() < 8) return false;
  token = token.substr(0, kCloselyRead);
  return is_monotonous(token) || names_itself(token);
}

bool is_no_password(std::string_view value) {
  static constexpr std::array kWords = std::to_array<std::string_view>(
      {"password",    "passwd",      "pass",        "pwd",     "secret",      "token",
       "user",        "username",    "pw",          "null",    "none",        "true",
       "false",       "undefined",   "credentials", "key",     "string",      "mypassword",
       "my_password", "my-password", "hunter2",     "letmein", "admin",       "root",
       "test",        "postgres",    "guest",       "pass123", "password123", "mysecretpassword"});
  if (value.size() < 3 || std::string_view("$<>{}%*[]()`").contains(value.front()) || value.starts_with("..."))
    return true;
  // These are variables of shells and of templates.
  if (value.find("${") != value.npos || value.find("{{") != value.npos || value.find("$(") != value.npos) return true;
  // Documentation often has the name of a variable in place of a value.
  if (std::ranges::all_of(value, [](char c) { return is_upper(c) || c == '_' || c == '-'; })) return true;
  if (distinct(value) < 3) return true;
  std::string small = lower(value);
  constexpr size_t kLongestWord = 16;
  return (small.size() <= kLongestWord && std::ranges::find(kWords, small) != kWords.end()) || names_itself(small);
}

bool looks_random(std::string_view value) {
  if (value.size() < 8) return false;
  if (value.starts_with("/") || value.starts_with("./") || value.starts_with("~/") || value.starts_with("http"))
    return false;
  if (std::ranges::none_of(value, is_digit) && distinct(value) < 12) return false;
  // Digits and marks alone are dates, versions and amounts, unless there are many.
  if (std::ranges::none_of(value, is_letter)) {
    constexpr size_t kFewestDigits = 24;
    return value.size() >= kFewestDigits && !is_no_password(value) && !is_stand_in(value);
  }
  static constexpr Set kCode = set_of("([<{ ");
  if (count_of(value, kCode) > 0 || value.find("::") != value.npos) return false;  // code or prose
  if (value.front() == ':' || value.front() == '?') return false;
  // The entropy is a sum of logarithms, which are not exact.
  constexpr double kRounding = 1e-9;
  // A text of n different bytes has log2(n) bits for each, so a short one cannot have many.
  double least = value.size() < 16 ? 2.5 : 3.0;
  if (is_words(value) || entropy(value) < least - kRounding) return false;
  // is_no_password() has already found values that contain such a word.
  return !is_no_password(value) && !is_monotonous(value.substr(0, kCloselyRead));
}

}  // namespace bottle::scan
