// Builds a catalog, and decides which findings of a block count. A secret is often found in several ways: as it is,
// by a rule for its form, by a rule for its name, and in what it decodes to. thin() keeps one finding for each place:
// that of the most specific rule or, among equals, the longest. A warning never hides a finding that blocks.
//
// The operator's rules are compiled separately from those of the program, so a catalog has several matchers. Each
// numbers its rules from 0, and `Part::first` says where they begin in the catalog's list.
#include "scan/detector.h"

#include <algorithm>
#include <array>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "scan/block_scan.h"
#include "scan/credential/builtin.h"
#include "scan/credential/fingerprint.h"
#include "scan/credential/numbers.h"

namespace bottle::scan {

static constexpr const char* kOfOthers = "the compiled database was made from other rules";

Result<Catalog> Catalog::make(std::vector<Rule> rules, std::string_view database) {
  Catalog catalog(TRY(Matcher::load(database)));
  if (catalog.matchers_[0].matcher.rules() > rules.size()) return fail(Code::invalid, kOfOthers);
  catalog.rules_ = std::move(rules);
  catalog.note_surveyed();
  return catalog;
}

Result<> Catalog::add(std::vector<Rule> own, std::string_view database) {
  if (!database.empty()) {
    Matcher matcher = TRY(Matcher::load(database));
    if (matcher.rules() > own.size()) return fail(Code::invalid, kOfOthers);
    matchers_.push_back({std::move(matcher), static_cast<uint32_t>(rules_.size())});
  }
  for (Rule& rule : own) {
    for (Rule& other : rules_) other.off |= other.id == rule.id;
    rules_.push_back(std::move(rule));
  }
  note_surveyed();
  return {};
}

void Catalog::allow_value(std::string_view value) {
  allowed_values_.insert(fingerprint(value));
  allowed_sizes_.insert(value.size());
}

void Catalog::note_surveyed() {
  for (auto* rules : {&cards_, &ibans_, &wifs_, &words_, &random_}) rules->clear();
  shaped_.clear();
  for (const Rule& rule : rules_) {
    if (rule.off) continue;
    if (rule.check == Check::luhn) cards_.push_back(&rule);
    if (rule.check == Check::iban) ibans_.push_back(&rule);
    if (rule.check == Check::wif) wifs_.push_back(&rule);
    if (rule.check == Check::bip39) words_.push_back(&rule);
    if (rule.check == Check::random) random_.push_back(&rule);
    if (rule.check == Check::discord) shaped_.push_back({&rule, each_discord_token});
    if (rule.check == Check::bitwarden) shaped_.push_back({&rule, each_bitwarden_token});
    if (rule.check == Check::asana) shaped_.push_back({&rule, each_asana_token});
    if (rule.check == Check::x_bearer) shaped_.push_back({&rule, each_x_bearer});
  }
}

Result<Catalog> Catalog::builtin() { return make(TRY(parse_rules(credentials_text())), credentials_database()); }

namespace {

constexpr int kRanks = 6;

// Returns how specific the rule of a finding is. Of several findings in one place, the most specific one counts.
int rank(const Finding& finding) {
  if (finding.warns()) return 5;  // must not hide a finding that blocks
  // A finding in the text itself counts more than one that was put together from pieces.
  if (finding.encoding.ends_with("pieces")) return 4;
  if (!finding.rule) return 0;
  switch (finding.rule->check) {
    case Check::assignment:
      return 3;
    case Check::last:
      return finding.rule->last < 40 ? 3 : 2;
    case Check::azure_sas:
    case Check::assigned:
    case Check::basic:
    case Check::jwt:
    case Check::userinfo:
      return 2;
    default:
      return 1;
  }
}

}  // namespace

bool hides(const Finding& finding, const Finding& other) {
  return finding.name == other.name || rank(finding) < rank(other);
}

namespace {

// The findings of one rank that thin() has kept, in the order of their beginnings.
struct Kept {
  std::vector<size_t> begins, reaches;  // where each begins, and the farthest end of those up to it
  void add(size_t begin, size_t end) {
    begins.push_back(begin);
    reaches.push_back(std::max(end, reaches.empty() ? 0 : reaches.back()));
  }
  // Returns whether one of them overlaps [begin, end).
  bool overlap(size_t begin, size_t end) const {
    auto count = std::ranges::lower_bound(begins, end) - begins.begin();
    return count > 0 && reaches[static_cast<size_t>(count) - 1] > begin;
  }
};

// Keeps one finding for each place. The longest one says best what belongs to the secret. A block may have hundreds of
// findings, so they are not compared in pairs, and only what sorts them is moved.
void thin(std::vector<Finding>& findings) {
  using Key = std::tuple<int, size_t, size_t, std::string_view, size_t, size_t>;
  std::vector<Key> keys;
  keys.reserve(findings.size());
  for (size_t i = 0; const Finding& each : findings)
    keys.emplace_back(rank(each), each.begin, ~each.end, each.name, each.encoding.size(), i++);
  std::ranges::sort(keys);
  std::array<Kept, kRanks> kept;
  std::unordered_map<std::string_view, size_t> reach;  // by name: where the last finding of this rank ends
  std::vector<std::tuple<size_t, size_t, size_t>> places;
  int last_rank = -1;
  for (const auto& [own_rank, begin, inverse_end, name, size, index] : keys) {
    size_t end = ~inverse_end;
    if (std::exchange(last_rank, own_rank) != own_rank) reach.clear();
    auto hidden = [&](const Kept& others) { return others.overlap(begin, end); };
    // Those of the same rank begin no later.
    auto [same, first] = reach.try_emplace(name, 0);
    if ((!first && same->second > begin) || std::any_of(kept.begin(), kept.begin() + own_rank, hidden)) continue;
    same->second = std::max(same->second, end);
    kept[static_cast<size_t>(own_rank)].add(begin, end);
    places.emplace_back(begin, end, index);
  }
  std::ranges::sort(places);
  std::vector<Finding> out;
  out.reserve(places.size());
  for (const auto& [begin, end, index] : places) out.push_back(std::move(findings[index]));
  findings = std::move(out);
}

void finish(BlockScan& scan, BlockResult& result) {
  if (result.findings.size() > 1) thin(result.findings);
  scan.add_fingerprints();
}

}  // namespace

BlockResult Detector::scan(std::string_view block, bool joined) {
  BlockResult result;
  BlockScan scan(*catalog_, block.size(), effort_, result);
  scan.all(block, joined);
  finish(scan, result);
  return result;
}

BlockResult Detector::scan_begun(std::string_view block) {
  BlockResult result;
  BlockScan scan(*catalog_, block.size(), effort_, result);
  scan.begun(block);
  finish(scan, result);
  return result;
}

BlockResult Detector::scan_begun_known(std::string_view block) {
  BlockResult result;
  BlockScan(*catalog_, block.size(), effort_, result).begun_known(block);
  return result;
}

BlockResult Detector::scan_plain(std::string_view block) {
  BlockResult result;
  BlockScan scan(*catalog_, block.size(), effort_, result);
  scan.plain(block);
  finish(scan, result);
  return result;
}

}  // namespace bottle::scan
