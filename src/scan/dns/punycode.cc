// Punycode writes characters as numbers in digits that look random, so the checks for data would refuse every such
// label. The label is decoded instead, and the result must look like a name. Data in the form of Punycode decodes to
// characters of many scripts.
#include "scan/dns/punycode.h"

#include <algorithm>
#include <cstdint>
#include <set>

namespace bottle::scan {
namespace {

// The parameters of RFC 3492 §5.
constexpr uint32_t kBase = 36, kLeast = 1, kMost = 26, kSkew = 38, kDamp = 700, kFirstBias = 72, kFirst = 0x80;
constexpr uint32_t kLastCharacter = 0x10ffff;

int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0' + 26;
  char small = static_cast<char>(c | 32);
  return small >= 'a' && small <= 'z' ? small - 'a' : -1;
}

// Returns the bias for the next number (RFC 3492 §6.1).
uint32_t adapted(uint32_t delta, uint32_t count, bool is_first) {
  delta = is_first ? delta / kDamp : delta / 2;
  delta += delta / count;
  uint32_t k = 0;
  for (; delta > (kBase - kLeast) * kMost / 2; k += kBase) delta /= kBase - kLeast;
  return k + (kBase - kLeast + 1) * delta / (delta + kSkew);
}

// Returns a number for the script. Scripts that are used together have the same number. Returns nothing for a
// character that no name contains.
std::optional<uint32_t> script_of(char32_t c) {
  auto in = [&](char32_t from, char32_t to) { return from <= c && c <= to; };
  if (in(0x80, 0x24f) || in(0x1e00, 0x1eff)) return 0;  // Latin
  // Chinese, Japanese and Korean.
  if (in(0x1100, 0x11ff) || in(0x2e80, 0xa4cf) || in(0xac00, 0xd7ff) || in(0xf900, 0xfaff) || in(0x20000, 0x323af))
    return 1;
  if (in(0x200d, 0x200d) || in(0x2190, 0x2bff) || in(0xfe0f, 0xfe0f) || in(0x1f000, 0x1faff)) return 2;  // pictures
  if (in(0x370, 0x3ff) || in(0x1f00, 0x1fff)) return 3;                                                  // Greek
  if (in(0x400, 0x52f)) return 4;                                                                        // Cyrillic
  if (in(0x600, 0x77f) || in(0x8a0, 0x8ff)) return 5;                                                    // Arabic
  if (in(0x250, 0x18af)) return 6 + c / 0x80;
  return {};
}

}  // namespace

std::optional<std::u32string> punycode_decoded(std::string_view label) {
  std::u32string out;
  size_t delimiter = label.rfind('-');
  for (char c : label.substr(0, delimiter == label.npos ? 0 : delimiter)) out += static_cast<char32_t>(c);
  std::string_view digits = label.substr(delimiter == label.npos ? 0 : delimiter + 1);
  uint64_t character = kFirst, place = 0;
  uint32_t bias = kFirstBias;
  while (!digits.empty()) {
    uint64_t before = place, weight = 1;
    for (uint32_t k = kBase;; k += kBase) {
      int digit = digits.empty() ? -1 : digit_of(digits.front());
      if (digit < 0) return {};
      digits.remove_prefix(1);
      place += static_cast<uint64_t>(digit) * weight;
      uint32_t least = k <= bias ? kLeast : std::min(k - bias, kMost);
      if (static_cast<uint32_t>(digit) < least) break;
      weight *= kBase - least;
      // Values of 64 bits hold the products, so checking after the multiplication is early enough.
      if (weight > UINT32_MAX || place > UINT32_MAX) return {};
    }
    auto count = static_cast<uint32_t>(out.size() + 1);
    if (place > UINT32_MAX) return {};
    bias = adapted(static_cast<uint32_t>(place - before), count, before == 0);
    character += place / count;
    place %= count;
    if (character > kLastCharacter) return {};
    out.insert(out.begin() + static_cast<std::ptrdiff_t>(place), static_cast<char32_t>(character));
    ++place;
  }
  return out;
}

bool is_likely_name(std::u32string_view text) {
  constexpr size_t kMostScripts = 2, kMostCharacters = 32, kMostIdeographs = 15;
  std::set<uint32_t> scripts;
  size_t ideographs = 0, others = 0;
  for (char32_t c : text) {
    if (c < kFirst) continue;
    auto script = script_of(c);
    if (!script) return false;
    scripts.insert(*script);
    ideographs += *script == 1;
    ++others;
  }
  return others > 0 && scripts.size() <= kMostScripts && others <= kMostCharacters && ideographs <= kMostIdeographs;
}

}  // namespace bottle::scan
