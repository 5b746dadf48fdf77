// Real secrets are made by machines, and stand-ins by people. The functions look for the signs of people: words,
// counting, repetition, signs of templates, and few different characters.
#include "scan/credential/stand_in.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>

#include "scan/credential/characters.h"
#include "scan/encoding/simd/masks.h"

namespace bottle::scan {
namespace {

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
constexpr bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
constexpr bool is_letter(char c) { return is_lower(c) || is_upper(c); }
constexpr char small(char c) { return static_cast<char>(c + (is_upper(c) ? 32 : 0)); }

size_t count_of(std::string_view text, const Set& set) {
  size_t count = 0;
  for (unsigned char c : text) count += set[c];
  return count;
}

// Returns whether more than half of the neighboring characters differ by at most one: they count up, count down, or are
// the same.
bool counts(std::string_view text) {
  if (text.size() < 6) return false;
  size_t steps = 0, at = 1;
  auto lanes_at = [&](size_t from) {
    Lanes lanes;
    std::memcpy(&lanes, text.data() + from, sizeof lanes);
    return lanes;
  };
  for (; at + sizeof(Lanes) <= text.size(); at += sizeof(Lanes))
    steps += static_cast<size_t>(std::popcount(bits_of(within(lanes_at(at) - lanes_at(at - 1) + 1, 0, 3))));
  for (; at < text.size(); ++at) steps += within(static_cast<uint8_t>(text[at] - text[at - 1] + 1), 0, 3);
  return steps * 2 > text.size();
}

// Returns whether the text repeats one piece.
bool repeats(std::string_view text) {
  for (size_t period = 1; period <= std::min<size_t>(text.size() / 2, 16); ++period)
    if (text[0] == text[period] && text.substr(period) == text.substr(0, text.size() - period)) return true;
  return false;
}

// The words that name a stand-in, in lowercase letters and in capitals, in the order of their codes.
constexpr std::array kWords = std::to_array<std::string_view>(
    {"example",  "xxxx",      "your",      "placeholder", "changeme", "change_me",  "change-me", "redacted", "dummy",
     "sample",   "fake",      "00000000",  "11111111",    "....",     "****",       "insert",    "replace",  "abcdefgh",
     "12345678", "goes_here", "goes-here", "deadbeef",    "foobar",   "not-a-real", "notreal"});

// A word can begin at every position of a value. One lookup of two characters rules out nearly all words. The code of
// two characters is made of the low bits of both, which are the same for few others.
struct Words {
  static constexpr size_t kCodes = 4096, kLongest = 11;
  static constexpr size_t code(char first, char second) {
    return static_cast<size_t>((first & 63) << 6 | (second & 63));
  }
  struct Word {
    std::array<char, kLongest> letters{};
    uint8_t size = 0;
    constexpr size_t begins() const { return code(letters[0], letters[1]); }
  };
  std::array<Word, 2 * kWords.size()> all{};
  std::array<uint8_t, kCodes> first{};  // the number of the first word with this code, from 1, or 0 if there is none

  constexpr Words() {
    for (size_t i = 0; i < all.size(); ++i) {
      std::string_view word = kWords[i / 2];
      all[i].size = static_cast<uint8_t>(word.size());
      for (size_t k = 0; k < word.size(); ++k)
        all[i].letters[k] = i % 2 && is_lower(word[k]) ? static_cast<char>(word[k] - 32) : word[k];
    }
    std::ranges::sort(all, {}, &Word::begins);
    for (size_t i = all.size(); i-- > 0;) first[all[i].begins()] = static_cast<uint8_t>(i + 1);
  }
};
constexpr Words kBothCases;

// Returns whether the text contains such a word: in one case or, with `folds`, in any mixture of cases. In random
// letters of both cases, every short word occurs now and then.
template <bool folds = false>
bool names_itself(std::string_view text) {
  if (text.empty()) return false;
  auto bits_at = [&](size_t at) { return static_cast<size_t>((folds ? small(text[at]) : text[at]) & 63); };
  size_t code = bits_at(0);
  for (size_t at = 1; at < text.size(); ++at) {
    code = (code << 6 | bits_at(at)) % Words::kCodes;
    size_t number = kBothCases.first[code];
    if (!number) [[likely]]
      continue;
    for (; number <= kBothCases.all.size() && kBothCases.all[number - 1].begins() == code; ++number) {
      const auto& [letters, size] = kBothCases.all[number - 1];
      std::string_view word(letters.data(), size), here = text.substr(at - 1, size);
      if (folds ? std::ranges::equal(here, word, {}, small) : here == word) return true;
    }
  }
  return false;
}

// Counts the vowels, and how often the case of the letters changes. camelCase has capitals only at the beginning of
// words. Random text has them everywhere, with single lowercase letters between them.
struct Turns {
  size_t count = 0, vowels = 0;
};
Turns turns_of(std::string_view letters) {
  Turns turns;
  for (size_t i = 1; i < letters.size(); ++i) {
    turns.count += is_upper(letters[i]) && is_lower(letters[i - 1]);
    turns.count +=
        i + 1 < letters.size() && is_lower(letters[i]) && is_upper(letters[i - 1]) && is_upper(letters[i + 1]);
  }
  static constexpr Set kVowels = set_of("aeiouyAEIOUY");
  turns.vowels = count_of(letters, kVowels);
  return turns;
}

// Returns whether the part is a word, a version or part of a name: letters of one case or capitalized, with at most a
// few digits.
bool is_word(std::string_view part) {
  size_t letters = 0;
  while (letters < part.size() && is_letter(part[letters])) ++letters;
  bool digits = std::all_of(part.begin() + static_cast<std::ptrdiff_t>(letters), part.end(), is_digit);
  if (!digits || part.size() - letters > 4) return false;
  Turns turns = turns_of(part.substr(0, letters));
  return turns.count * 4 <= letters + 4 && (turns.count < 2 || turns.vowels * 4 >= letters);
}

bool is_monotonous(std::string_view token, size_t distinct) {
  return distinct < std::min<size_t>(8, token.size() / 3) || counts(token) || repeats(token);
}

// How many different bytes a text has, and how much each of them says.
struct Spread {
  size_t distinct = 0;
  double entropy = 0;  // bits per byte
};

// Looks at the first kSpreadOver bytes.
constexpr size_t kSpreadOver = 512;
Spread spread_of(std::string_view text) {
  constexpr size_t kMost = kSpreadOver;
  // The difference between (n + 1) * log2(n + 1) and n * log2(n), as a multiple of 1 / kUnit. Sums of integers take
  // less time than those of floating-point numbers.
  constexpr double kUnit = 1 << 20;
  static const auto kMore = [] {
    std::array<uint32_t, kMost> table{};
    auto times_log = [](size_t n) { return n ? static_cast<double>(n) * std::log2(static_cast<double>(n)) : 0; };
    for (size_t n = 0; n < kMost; ++n)
      table[n] = static_cast<uint32_t>(std::lround((times_log(n + 1) - times_log(n)) * kUnit));
    return table;
  }();
  Spread spread;
  if (text.empty()) return spread;
  text = text.substr(0, kMost);
  std::array<uint16_t, 256> counts{};
  uint64_t sum = 0;
  for (unsigned char c : text) {
    uint16_t count = counts[c]++;
    spread.distinct += count == 0;
    sum += kMore[count];
  }
  static const auto kLog = [] {
    std::array<double, kMost + 1> table{};
    for (size_t n = 1; n <= kMost; ++n) table[n] = std::log2(static_cast<double>(n));
    return table;
  }();
  double size = static_cast<double>(text.size());
  spread.entropy = kLog[text.size()] - static_cast<double>(sum) / kUnit / size;
  return spread;
}

// The kinds of the characters of a value.
enum : uint8_t { kDigit = 1, kLetter = 2, kOfCode = 4, kColon = 8, kTemplate = 16 };
constexpr auto kKinds = [] {
  std::array<uint8_t, 256> kinds{};
  for (char c : std::string_view("([<{ ")) kinds[static_cast<uint8_t>(c)] |= kOfCode;
  for (char c : std::string_view("${")) kinds[static_cast<uint8_t>(c)] |= kTemplate;
  kinds[':'] |= kColon;
  for (unsigned c = 0; c < 128; ++c) {
    if (is_digit(static_cast<char>(c))) kinds[c] |= kDigit;
    if (is_letter(static_cast<char>(c))) kinds[c] |= kLetter;
  }
  return kinds;
}();
unsigned kinds_in(std::string_view value) {
  unsigned kinds = 0;
  for (unsigned char c : value) kinds |= kKinds[c];
  return kinds;
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
  std::array<Lanes, 256 / sizeof(Lanes)> seen{};
  auto* of = reinterpret_cast<uint8_t*>(seen.data());
  for (unsigned char c : text) of[c] = 1;
  Lanes sums{};
  for (const Lanes& each : seen) sums += each;
  size_t sum = 0;
  for (size_t i = 0; i < sizeof sums; ++i) sum += sums[i];
  return sum;
}

double entropy(std::string_view text) { return spread_of(text).entropy; }

bool is_stand_in(std::string_view token, PlainText& known, size_t& read) {
  constexpr size_t kFew = 64;  // bytes, of which random text has more than enough different ones
  if (token.size() < 8) return false;
  token = token.substr(0, kCloselyRead);
  size_t different = distinct(token.substr(0, kFew));
  if (different < 8) different = distinct(token);
  const size_t few = std::min(token.size(), kFew);
  read += few;
  if (is_monotonous(token, different)) return true;
  const char *begin = token.data(), *end = begin + token.size();
  bool goes_on = known.begin && known.begin <= begin && begin <= known.end;
  if (goes_on && end <= known.end) return false;
  // A word may begin in what is known and end after it.
  const char* from = goes_on ? known.end - std::min<std::ptrdiff_t>(known.end - begin, Words::kLongest - 1) : begin;
  // The cost of a byte covers both looks at it.
  if (size_t rest = static_cast<size_t>(end - from); rest > few) read += rest - few;
  if (names_itself({from, end})) return true;
  known = {goes_on ? known.begin : begin, end};
  return false;
}

namespace {

// These are the texts that people write in place of a password, the shortest first.
constexpr std::array kUsual = [] {
  auto words = std::to_array<std::string_view>({"password", "passwd",  "pass",       "pwd",         "secret",
                                                "token",    "user",    "username",   "pw",          "null",
                                                "none",     "true",    "false",      "undefined",   "credentials",
                                                "key",      "string",  "mypassword", "my_password", "my-password",
                                                "hunter2",  "letmein", "admin",      "root",        "test",
                                                "postgres", "guest",   "pass123",    "password123", "mysecretpassword",
                                                "mypass",   "qwerty",  "opensesame", "xyz",         "nothing",
                                                "pwd1",     "pwd2"});
  std::ranges::sort(words, {}, &std::string_view::size);
  return words;
}();
constexpr size_t kLongestUsual = kUsual.back().size();

// Returns whether the text, which is in lower case, is one of kUsual.
bool is_usual(std::string_view small) {
  auto same = std::ranges::equal_range(kUsual, small.size(), {}, &std::string_view::size);
  return std::ranges::find(same, small) != same.end();
}

// Does what is_no_password() does for a value with these kinds and so many different characters.
bool is_no_password(std::string_view value, unsigned kinds, size_t distinct) {
  if (value.size() < 3 || std::string_view("$<>{}%*[]()`").contains(value.front()) || value.starts_with("..."))
    return true;
  // These are variables of shells and of templates.
  if ((kinds & kTemplate) &&
      (value.find("${") != value.npos || value.find("{{") != value.npos || value.find("$(") != value.npos))
    return true;
  // Documentation often has the name of a variable in place of a value.
  if (std::ranges::all_of(value, [](char c) { return is_upper(c) || c == '_' || c == '-'; })) return true;
  if (distinct < 3) return true;
  std::array<char, kLongestUsual> letters;
  if (value.size() <= letters.size()) {
    std::ranges::transform(value, letters.begin(), small);
    if (is_usual({letters.data(), value.size()})) return true;
  }
  return names_itself<true>(value);
}

}  // namespace

bool is_no_password(std::string_view value) { return is_no_password(value, kinds_in(value), distinct(value)); }

bool is_identifier(std::string_view value) {
  constexpr size_t kLongestNumber = 5;
  std::string letters;
  for (size_t at = 0; at < value.size();) {
    size_t begin = at;
    while (at < value.size() && is_letter(value[at])) ++at;
    // A word after a number begins with a capital.
    bool is_word = at >= begin + 2 && (begin == 0 || (is_upper(value[begin]) && is_lower(value[begin + 1])));
    if (!is_word && (begin > 0 || at == begin)) return false;
    letters += value.substr(begin, at - begin);
    size_t number = at;
    while (at < value.size() && is_digit(value[at])) ++at;
    if (at - number > kLongestNumber || (at == number && at < value.size())) return false;
  }
  Turns turns = turns_of(letters);
  return turns.count * 4 <= letters.size() + 4 && turns.vowels * 4 >= letters.size();
}

bool looks_random(std::string_view value) {
  if (value.size() < 8) return false;
  if (value.starts_with("/") || value.starts_with("./") || value.starts_with("~/") || value.starts_with("http"))
    return false;
  unsigned kinds = kinds_in(value);
  if ((kinds & kOfCode) || ((kinds & kColon) && value.find("::") != value.npos)) {
    // Digits and marks may have these characters, and are judged below. Otherwise, it is code or prose.
    if (kinds & kLetter) return false;
  }
  Spread spread = spread_of(value);
  size_t different = value.size() > kSpreadOver ? distinct(value) : spread.distinct;
  if (!(kinds & kDigit) && different < 12) return false;
  std::string_view beginning = value.substr(0, kCloselyRead);
  size_t of_beginning = beginning.size() < value.size() ? distinct(beginning) : different;
  // Digits and marks alone are dates, versions and amounts, unless there are many.
  if (!(kinds & kLetter)) {
    constexpr size_t kFewestDigits = 24;
    return value.size() >= kFewestDigits && !is_no_password(value, kinds, different) &&
           !is_monotonous(beginning, of_beginning) && !names_itself(beginning);
  }
  if (value.front() == ':' || value.front() == '?') return false;
  // The entropy is a sum of rounded logarithms.
  constexpr double kRounding = 1e-6;
  // A text of n different bytes has log2(n) bits for each, so a short one cannot have many.
  double least = value.size() < 16 ? 2.5 : 3.0;
  if (spread.entropy < least - kRounding || is_words(value)) return false;
  // is_no_password() has already found values that contain such a word.
  return !is_no_password(value, kinds, different) && !is_monotonous(beginning, of_beginning);
}

}  // namespace bottle::scan
