#include "scan/dns/dns_name.h"

#include <algorithm>
#include <functional>

namespace bottle::scan {
namespace {

constexpr size_t kLongestChain = 6;   // labels to the left of the domain
constexpr size_t kLongestLeft = 100;  // bytes to the left of the domain
constexpr size_t kLongHex = 24, kLongDigits = 12, kLongBase32 = 20, kLongRandom = 20;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
bool is_letter(char c) { return lower(c) >= 'a' && lower(c) <= 'z'; }
bool is_vowel(char c) { return std::string_view("aeiouy").find(lower(c)) != std::string_view::npos; }

template <typename F>
size_t longest_row(std::string_view label, F member) {
  size_t best = 0, row = 0;
  for (char c : label) best = std::max(best, row = member(c) ? row + 1 : 0);
  return best;
}

// Counts how often letters and digits alternate. In names that people choose, they seldom do.
size_t changes(std::string_view label) {
  size_t count = 0;
  for (size_t i = 1; i < label.size(); ++i) count += is_digit(label[i]) != is_digit(label[i - 1]);
  return count;
}

bool looks_random(std::string_view label) {
  size_t letters = 0, vowels = 0, capitals = 0;
  for (char c : label) {
    letters += is_letter(c);
    vowels += is_letter(c) && is_vowel(c);
    capitals += c >= 'A' && c <= 'Z';
  }
  if (label.size() < kLongRandom) return false;
  bool two_cases = capitals > 2 && capitals + 2 < letters;  // Base64, because names are written in one case
  bool dense = longest_row(label, [](char c) { return c != '-'; }) >= kLongRandom;
  return two_cases || (dense && (changes(label) >= 6 || (letters >= 16 && vowels * 6 < letters)));
}

// Returns whether the label is Punycode (RFC 3492).
bool is_punycode(std::string_view label) {
  return label.size() >= 4 && lower(label[0]) == 'x' && lower(label[1]) == 'n' && label.substr(2, 2) == "--";
}

// Returns whether Punycode does not encode a real name, because it has more bytes of data than a name in another
// script.
bool is_odd(std::string_view label) {
  std::string_view rest = label.substr(label.rfind('-') + 1);
  return rest.empty() || label.size() > 50 || longest_row(rest, is_digit) > 8;
}

std::string_view judge_label(std::string_view label) {
  auto is_hex = [](char c) { return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'f'); };
  auto is_base32 = [](char c) { return is_letter(c) || (c >= '2' && c <= '7'); };
  if (is_punycode(label))
    return is_odd(label) ? "has a label of Punycode that decodes to an unlikely name" : std::string_view();
  size_t hex_digits = static_cast<size_t>(std::ranges::count_if(label, is_digit));
  if (longest_row(label, is_digit) >= kLongDigits) return "has a label of digits";
  if (longest_row(label, is_hex) >= kLongHex && hex_digits >= 4) return "has a label of hexadecimal digits";
  if (longest_row(label, is_base32) >= kLongBase32 && changes(label) >= 3) return "has a label of Base32";
  if (looks_random(label)) return "has a label of random characters";
  return {};
}

}  // namespace

std::string_view registered_domain(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  auto before = [&](size_t at) { return at == name.npos || at == 0 ? name.npos : name.rfind('.', at - 1); };
  size_t last = name.rfind('.'), second = before(last);
  if (last == name.npos || second == name.npos) return name;
  constexpr size_t kShort = 3;  // "co.uk", "com.au"
  bool is_short = last - second - 1 <= kShort && name.size() - last - 1 == 2;
  size_t from = is_short ? before(second) : second;
  return from == name.npos ? name : name.substr(from + 1);
}

std::string_view carries_data(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  std::string_view domain = registered_domain(name);
  std::string_view left = name.substr(0, name.size() - domain.size());
  if (left.size() > kLongestLeft) return "is longer than usual names";
  size_t labels = 0, random_bytes = 0;
  while (!left.empty()) {
    std::string_view label = left.substr(0, left.find('.'));
    left.remove_prefix(std::min(label.size() + 1, left.size()));
    if (label.empty()) continue;
    if (auto why = judge_label(label); !why.empty()) return why;
    ++labels;
    if (changes(label) >= 3 || (label.size() >= 8 && longest_row(label, [](char c) { return !is_vowel(c); }) >= 7))
      random_bytes += label.size();
  }
  if (labels > kLongestChain) return "has a long chain of labels";
  return random_bytes >= 2 * kLongRandom ? "has several labels of random characters" : std::string_view();
}

bool NameHistory::too_many(std::string_view name, std::chrono::steady_clock::time_point now) {
  std::string_view domain = registered_domain(name);
  auto found = domains_.find(domain);
  if (found == domains_.end()) {
    if (domains_.size() == kMostDomains)
      domains_.erase(std::ranges::min_element(domains_, {}, [](const auto& each) { return each.second.since; }));
    found = domains_.emplace(std::string(domain), Domain{{}, now}).first;
  }
  Domain& seen = found->second;
  if (now - seen.since > kWithin) seen = {{}, now};
  std::string folded(name);
  std::ranges::transform(folded, folded.begin(), lower);
  uint64_t hash = std::hash<std::string>()(folded);
  if (seen.names.contains(hash)) return false;
  if (seen.names.size() >= kMostOfDomain) return true;
  seen.names.insert(hash);
  return false;
}

}  // namespace bottle::scan
