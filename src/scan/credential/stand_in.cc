#include "scan/credential/stand_in.h"

#include <algorithm>
#include <array>
#include <bitset>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "base/text/lower.h"

namespace bottle::scan {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_letter(char c) { return is_lower(c) || is_upper(c); }

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
    if (text.substr(period) == text.substr(0, text.size() - period)) return true;
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
  struct Words {
    std::vector<std::string> all;
    std::bitset<4096> begin;  // whether a word may begin with two characters, by the low bits of both
  };
  auto code = [](char first, char second) { return static_cast<size_t>((first & 63) << 6 | (second & 63)); };
  static const Words kBothCases = [&] {
    Words words{.all = {kWords.begin(), kWords.end()}, .begin = {}};
    for (std::string word : kWords) {
      for (char& c : word)
        if (is_lower(c)) c = static_cast<char>(c - 32);
      words.all.push_back(std::move(word));
    }
    for (const std::string& word : words.all) words.begin.set(code(word[0], word[1]));
    return words;
  }();
  for (size_t at = 0; at + 1 < text.size(); ++at) {
    if (!kBothCases.begin[code(text[at], text[at + 1])]) continue;
    std::string_view rest = text.substr(at);
    if (std::ranges::any_of(kBothCases.all,
                            [&](std::string_view word) { return word[0] == rest[0] && rest.starts_with(word); }))
      return true;
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
  // camelCase has capitals only at the beginning of words. Random text has them everywhere, and single small letters
  // too.
  size_t turns = 0;
  for (size_t i = 1; i < letters; ++i) {
    turns += is_upper(part[i]) && is_lower(part[i - 1]);
    turns += i + 1 < letters && is_lower(part[i]) && is_upper(part[i - 1]) && is_upper(part[i + 1]);
  }
  size_t vowels = static_cast<size_t>(std::ranges::count_if(
      part, [](char c) { return std::string_view("aeiouyAEIOUY").find(c) != std::string_view::npos; }));
  return turns * 4 <= letters + 4 && (turns < 2 || vowels * 4 >= letters);
}

}  // namespace

size_t distinct(std::string_view text) {
  std::array<bool, 256> seen{};
  size_t count = 0;
  for (unsigned char c : text) count += !std::exchange(seen[c], true);
  return count;
}

double entropy(std::string_view text) {
  std::array<uint32_t, 256> counts{};
  for (unsigned char c : text) ++counts[c];
  double bits = 0, size = static_cast<double>(text.size());
  for (uint32_t count : counts)
    if (count) bits -= count / size * std::log2(count / size);
  return bits;
}

bool is_stand_in(std::string_view token) {
  if (token.size() < 8) return false;
  size_t known = std::min<size_t>(token.size(), 400);
  token = token.substr(0, known);
  return distinct(token) < std::min<size_t>(8, known / 3) || counts(token) || repeats(token) || names_itself(token);
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
  if (value.find("${") != value.npos || value.find("{{") != value.npos || value.find("$(") != value.npos) return true;
  if (std::ranges::all_of(value, [](char c) { return is_upper(c) || c == '_' || c == '-'; })) return true;
  std::string small = lower(value);
  return std::ranges::find(kWords, small) != kWords.end() || names_itself(small) || distinct(value) < 3;
}

bool looks_random(std::string_view value) {
  if (value.size() < 8) return false;
  if (value.starts_with("/") || value.starts_with("./") || value.starts_with("~/") || value.starts_with("http"))
    return false;
  if (std::ranges::none_of(value, is_digit) && distinct(value) < 12) return false;
  if (is_no_password(value) || is_stand_in(value)) return false;
  if (std::ranges::count_if(value, is_letter) == 0) return value.size() >= 24;
  if (value.find_first_of("([<{ ") != value.npos || value.find("::") != value.npos) return false;  // code or prose
  if (value.front() == ':' || value.front() == '?') return false;
  bool words = true;
  for (size_t at = 0; at < value.size() && words;) {
    size_t end = std::min(value.find_first_of("-_./:@+=,", at), value.size());
    words = is_word(value.substr(at, end - at));
    at = end + 1;
  }
  return !words && entropy(value) >= (value.size() < 16 ? 2.5 : 3.0);
}

}  // namespace bottle::scan
