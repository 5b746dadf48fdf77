// A value of random characters may be a credential that no rule describes, or one of the many hashes and identifiers
// that programs send. Only its name can tell, so a value without a name does not count, and neither does one whose
// name contains a harmless word from a list. Because this is a guess, the rule warns and does not block.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <string>
#include <utility>

#include "base/text/words.h"
#include "scan/credential/characters.h"
#include "scan/credential/checks.h"
#include "scan/encoding/simd/masks.h"

namespace bottle::scan {
namespace {

constexpr size_t kShortest = 32, kLongest = 64;

bool is_space(char c) { return c == ' ' || c == '\t'; }
bool of_name(char c) { return is_alnum(c) || c == '_' || c == '-' || c == '.'; }

// Returns the name that the value at `begin` is assigned to, in lower case, or an empty string if there is none.
std::string name_of(std::string_view text, size_t begin) {
  constexpr size_t kLongestName = 64;
  size_t at = begin;
  auto skip = [&](auto is) {
    while (at > 0 && is(text[at - 1])) --at;
  };
  auto quotes = [](char c) { return c == '"' || c == '\'' || c == '\\' || c == '`'; };
  skip(quotes);
  skip(is_space);
  if (at == 0 || (text[at - 1] != '=' && text[at - 1] != ':')) return {};
  skip([](char c) { return c == '=' || c == ':' || is_space(c); });
  skip(quotes);
  size_t end = at;
  while (at > 0 && end - at < kLongestName && of_name(text[at - 1])) --at;
  return lower(text.substr(at, end - at));
}

// Returns whether a name says that its value is a hash, an identifier or data.
bool is_harmless(std::string_view name) {
  static constexpr auto kWords = std::to_array<std::string_view>(
      {"integrity", "sha",   "hash",    "digest", "sum",   "etag", "nonce", "sig",       "rev",
       "commit",    "id",    "mapping", "cursor", "trace", "span", "bound", "version",   "resolved",
       "cache",     "state", "color",   "src",    "href",  "url",  "path",  "file",      "source",
       "content",   "data",  "body",    "image",  "key",   "page", "csrf",  "challenge", "verification"});
  // Go's file of checksums writes "h1:" before each.
  constexpr std::string_view kOfGoSum = "h1";
  if (name == kOfGoSum) return true;
  return std::ranges::any_of(kWords, [&](std::string_view word) { return name.find(word) != name.npos; });
}

// Returns whether the characters are of the kinds that random Base64 has. Most values fail here, such as hashes.
bool is_mixed(std::string_view value) {
  constexpr int kFewestOfKind = 3, kMostMarks = 3;
  constexpr unsigned kLongestRow = 9;  // of lowercase letters
  std::array<uint8_t, kLongest> bytes{};
  std::memcpy(bytes.data(), value.data(), value.size());
  Block block = load_block(bytes.data());
  uint64_t small = mask_of(block, [](const Lanes& c) { return within(c, 'a', 26); });
  int capitals = std::popcount(mask_of(block, [](const Lanes& c) { return within(c, 'A', 26); }));
  int digits = std::popcount(mask_of(block, [](const Lanes& c) { return within(c, '0', 10); }));
  int letters = std::popcount(small) + capitals, marks = static_cast<int>(value.size()) - letters - digits;
  if (capitals < kFewestOfKind || letters - capitals < kFewestOfKind || digits < kFewestOfKind) return false;
  for (unsigned i = 1; i < kLongestRow; ++i) small &= small >> 1;
  return marks <= kMostMarks && small == 0;
}

// Returns whether the characters of such a value are distributed as in random Base64.
bool is_distributed(std::string_view value) {
  constexpr double kLeastBits = 4.3;  // entropy per character; random text of this length has about 4.7 bits
  std::array<uint8_t, 256> counts{};
  for (unsigned char c : value) ++counts[c];
  double bits = 0, size = static_cast<double>(value.size());
  static const auto kTimesLog = [] {  // n * log2(n)
    std::array<double, kLongest + 1> table{};
    for (size_t n = 1; n <= kLongest; ++n) table[n] = static_cast<double>(n) * std::log2(static_cast<double>(n));
    return table;
  }();
  // There are fewer characters than kinds of bytes, so this takes less time than a sum over all counts.
  for (unsigned char c : value) bits += kTimesLog[std::exchange(counts[c], uint8_t{0})];
  bits = std::log2(size) - bits / size;
  return bits >= kLeastBits;
}

}  // namespace

bool is_random_value(std::string_view text, size_t begin, size_t end) {
  while (end > begin && text[end - 1] == '=') --end;
  if (end - begin < kShortest || end - begin > kLongest) return false;
  constexpr std::string_view kAfter = "\"'`\\ \t\r\n,;)}&=";
  bool ends = end == text.size() || kAfter.find(text[end]) != kAfter.npos;
  if (!ends) return false;
  std::string_view value = text.substr(begin, end - begin);
  if (!is_mixed(value)) return false;
  std::string name = name_of(text, begin);
  return !name.empty() && is_distributed(value) && !is_harmless(name);
}

}  // namespace bottle::scan
