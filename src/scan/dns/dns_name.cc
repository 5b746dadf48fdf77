// A name server that an attacker runs sees every name below its domain, so a name can carry data out without any
// connection. Nothing proves that a label is data; the checks compare it with the names that people and clouds use.
// The limits are so high that real names seldom exceed them, because a refusal breaks the agent's work. The operator
// can still allow a name by writing it in full.
//
// Data in short labels that look harmless passes each check by itself. NameHistory therefore counts the names below
// each domain, and the statistics of letter pairs cover all labels of a name together.
#include "scan/dns/dns_name.h"

#include <algorithm>
#include <array>
#include <utility>

#include "scan/dns/punycode.h"

namespace bottle::scan {
namespace {

constexpr size_t kLongestChain = 6;   // labels to the left of the domain
constexpr size_t kLongestLeft = 100;  // bytes to the left of the domain
// Runs of such characters in ordinary names are shorter than these.
constexpr size_t kLongHex = 24, kLongDigits = 13, kLongBase32 = 20, kLongRandom = 20;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
bool is_letter(char c) { return lower(c) >= 'a' && lower(c) <= 'z'; }
bool is_vowel(char c) { return std::string_view("aeiouy").find(lower(c)) != std::string_view::npos; }

template <typename F>
size_t longest_run(std::string_view label, F member) {
  size_t best = 0, run = 0;
  for (char c : label) best = std::max(best, run = member(c) ? run + 1 : 0);
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
  // Words in a name are separated by dashes, so a long run without a dash is either random or several words in one.
  bool dense = longest_run(label, [](char c) { return c != '-'; }) >= kLongRandom;
  return two_cases || (dense && (changes(label) >= 6 || (letters >= 16 && vowels * 6 < letters)));
}

// Returns whether the label is Punycode (RFC 3492).
bool is_punycode(std::string_view label) {
  return label.size() >= 4 && lower(label[0]) == 'x' && lower(label[1]) == 'n' && label.substr(2, 2) == "--";
}

// Counts the pairs of adjacent letters, and those of them that are frequent in words. A text of random letters has
// few of the frequent ones, even if it uses only a few letters.
struct Pairs {
  size_t all = 0, frequent = 0;
  bool are_random() const { return all >= 24 && frequent * 3 < all; }
};

void count_pairs(std::string_view label, Pairs& pairs) {
  static constexpr std::string_view kFrequent =
      "ac ad ai al am an ap ar as at be ca ce ch ci co ct de di ea ec ed ee el em en er es et ev ex ge ha he ho ic ie "
      "il "
      "im in io is it la le li ll lo ma me na nd ne ng no ns nt ol om on or os ou pi pl po pr ra re ri ro se si ss st "
      "ta "
      "te th ti to tr un ur us ve we wi";
  static constexpr auto kIsFrequent = [] {
    std::array<bool, size_t{26} * 26> table{};
    for (size_t at = 0; at + 1 < kFrequent.size(); at += 3)
      table[static_cast<size_t>(kFrequent[at] - 'a') * 26 + static_cast<size_t>(kFrequent[at + 1] - 'a')] = true;
    return table;
  }();
  for (size_t i = 1; i < label.size(); ++i) {
    char first = lower(label[i - 1]), second = lower(label[i]);
    if (!is_letter(first) || !is_letter(second)) continue;
    ++pairs.all;
    pairs.frequent += kIsFrequent[static_cast<size_t>(first - 'a') * 26 + static_cast<size_t>(second - 'a')];
  }
}

// Returns why a single label carries data, or an empty string.
std::string_view judge_label(std::string_view label) {
  auto is_hex = [](char c) { return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'f'); };
  auto is_base32 = [](char c) { return is_letter(c) || (c >= '2' && c <= '7'); };
  if (is_punycode(label)) {
    auto text = punycode_decoded(label.substr(4));
    if (!text || !is_likely_name(*text)) return "has a label of Punycode that decodes to an unlikely name";
    label = label.substr(4, std::min(label.rfind('-'), label.size()) - 4);
    if (label.empty()) return {};
  }
  size_t hex_digits = static_cast<size_t>(std::ranges::count_if(label, is_digit));
  if (longest_run(label, is_digit) >= kLongDigits) return "has a label of digits";
  if (longest_run(label, is_hex) >= kLongHex && hex_digits >= 4) return "has a label of hexadecimal digits";
  if (longest_run(label, is_base32) >= kLongBase32 && changes(label) >= 3) return "has a label of Base32";
  Pairs pairs;
  count_pairs(label, pairs);
  if (looks_random(label) || pairs.are_random()) return "has a label of random characters";
  return {};
}

// Returns whether customers choose names below the domain, but none of them runs its name servers. Hashes are frequent
// in these names, and a query for one tells only the provider.
bool belongs_to_provider(std::string_view domain) {
  static constexpr auto kDomains = std::to_array<std::string_view>({"amazonaws.com",   "azure.com",
                                                                    "azurecr.io",      "azureedge.net",
                                                                    "azurefd.net",     "azurewebsites.net",
                                                                    "backblazeb2.com", "cloudflarestorage.com",
                                                                    "cloudfront.net",  "digitaloceanspaces.com",
                                                                    "docker.com",      "fly.dev",
                                                                    "github.dev",      "githubusercontent.com",
                                                                    "googleapis.com",  "googleusercontent.com",
                                                                    "hf.co",           "hf.space",
                                                                    "netlify.app",     "ngrok-free.app",
                                                                    "ngrok.app",       "ngrok.io",
                                                                    "onrender.com",    "pages.dev",
                                                                    "r2.dev",          "run.app",
                                                                    "vercel.app",      "web.app",
                                                                    "windows.net",     "workers.dev"});
  return std::ranges::find(kDomains, domain) != kDomains.end();
}

// Returns whether domains are registered below `label` in the zones of countries, as in "co.uk".
bool is_kind_of_domain(std::string_view label) {
  for (std::string_view each :
       {"ac",  "co", "com", "ed",  "edu", "go",  "gob", "gov", "gouv", "govt", "id",     "ltd", "me",
        "mil", "ne", "net", "nhs", "nic", "nom", "or",  "org", "plc",  "sch",  "school", "web"})
    if (label == each) return true;
  return false;
}

}  // namespace

std::string_view registered_domain(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  auto before = [&](size_t at) { return at == name.npos || at == 0 ? name.npos : name.rfind('.', at - 1); };
  size_t last = name.rfind('.'), second = before(last);
  if (last == name.npos || second == name.npos) return name;
  // Anyone can have a short name, such as "x.io", so only known ones have domains of others below them.
  bool is_shared = name.size() - last - 1 == 2 && is_kind_of_domain(name.substr(second + 1, last - second - 1));
  size_t from = is_shared ? before(second) : second;
  return from == name.npos ? name : name.substr(from + 1);
}

std::string_view carries_data(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  std::string_view domain = registered_domain(name);
  std::string_view left = name.substr(0, name.size() - domain.size());
  if (left.size() > kLongestLeft) return "is longer than usual names";
  bool is_of_provider = belongs_to_provider(domain);
  size_t labels = 0, random_bytes = 0;
  Pairs pairs;
  while (!left.empty()) {
    std::string_view label = left.substr(0, left.find('.'));
    left.remove_prefix(std::min(label.size() + 1, left.size()));
    if (label.empty()) continue;
    ++labels;
    // Its labels still count for the length of the chain.
    if (is_of_provider) continue;
    if (auto why = judge_label(label); !why.empty()) return why;
    if (!is_punycode(label)) count_pairs(label, pairs);
    // One label that looks a little random proves nothing, but several do.
    if (changes(label) >= 3 || (label.size() >= 8 && longest_run(label, [](char c) { return !is_vowel(c); }) >= 7))
      random_bytes += label.size();
  }
  if (labels > kLongestChain) return "has a long chain of labels";
  return random_bytes >= 2 * kLongRandom || pairs.are_random() ? "has several labels of random characters"
                                                               : std::string_view();
}

bool NameHistory::too_many(std::string_view name, std::chrono::steady_clock::time_point now) {
  std::string_view domain = registered_domain(name);
  auto found = domains_.find(domain);
  if (found == domains_.end()) {
    // Removes a domain with the fewest names, so that many domains with one name do not make the guard forget a
    // domain with many.
    if (domains_.size() == kMostDomains)
      domains_.erase(std::ranges::min_element(
          domains_, {}, [](const auto& each) { return std::pair(each.second.names.size(), each.second.since); }));
    found = domains_.emplace(std::string(domain), Domain{{}, now}).first;
  }
  Domain& seen = found->second;
  // The time counts from the first name, so a domain gets a new allowance only after all of it has passed.
  if (now - seen.since > kWithin) seen = {{}, now};
  // Resolvers may change the case of letters, so it does not make another name.
  std::string folded(name);
  std::ranges::transform(folded, folded.begin(), lower);
  if (seen.names.contains(folded)) return false;
  // The name is not added, so names that were seen before still pass.
  if (seen.names.size() >= kMostOfDomain) return true;
  seen.names.insert(std::move(folded));
  return false;
}

}  // namespace bottle::scan
