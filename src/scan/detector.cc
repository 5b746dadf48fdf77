// Builds a catalog, and decides which findings of a block count. A secret is often found in several ways: as it is,
// by a rule for its form, by a rule for its name, and in what it decodes to. thin() keeps one finding for each place:
// that of the most specific rule or, among equals, the longest. A warning never hides a finding that blocks.
//
// The operator's rules are compiled separately from those of the program, so a catalog has several matchers. Each
// numbers its rules from 0, and `Part::first` says where they begin in the catalog's list.
#include "scan/detector.h"

#include <algorithm>
#include <tuple>

#include "scan/block_scan.h"
#include "scan/credential/builtin.h"

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

void Catalog::note_surveyed() {
  for (auto* rules : {&cards_, &ibans_, &wifs_, &words_, &random_, &bearers_, &discords_}) rules->clear();
  for (const Rule& rule : rules_) {
    if (rule.off) continue;
    if (rule.check == Check::luhn) cards_.push_back(&rule);
    if (rule.check == Check::iban) ibans_.push_back(&rule);
    if (rule.check == Check::wif) wifs_.push_back(&rule);
    if (rule.check == Check::bip39) words_.push_back(&rule);
    if (rule.check == Check::random) random_.push_back(&rule);
    if (rule.check == Check::discord) discords_.push_back(&rule);
    if (rule.check == Check::x_bearer) bearers_.push_back(&rule);
  }
}

Result<Catalog> Catalog::builtin() { return make(TRY(parse_rules(credentials_text())), credentials_database()); }

namespace {

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

// Keeps one finding for each place. The longest one covers the secret best.
void thin(std::vector<Finding>& findings) {
  std::ranges::sort(findings, {}, [](const Finding& each) {
    return std::tuple(rank(each), each.begin, ~each.end, std::string_view(each.name), each.encoding.size());
  });
  std::vector<Finding> kept;
  for (Finding& finding : findings) {
    bool known = std::ranges::any_of(kept, [&](const Finding& other) {
      bool overlap = other.begin < finding.end && finding.begin < other.end;
      return overlap && hides(other, finding);
    });
    if (!known) kept.push_back(std::move(finding));
  }
  std::ranges::sort(kept, {}, [](const Finding& each) { return std::pair(each.begin, each.end); });
  findings = std::move(kept);
}

}  // namespace

BlockResult Detector::scan(std::string_view block, bool joined) {
  BlockResult result;
  BlockScan(*catalog_, block.size(), result).all(block, joined);
  if (result.findings.size() > 1) thin(result.findings);
  return result;
}

BlockResult Detector::scan_begun(std::string_view block) {
  BlockResult result;
  BlockScan(*catalog_, block.size(), result).begun(block);
  if (result.findings.size() > 1) thin(result.findings);
  return result;
}

BlockResult Detector::scan_begun_known(std::string_view block) {
  BlockResult result;
  BlockScan(*catalog_, block.size(), result).begun_known(block);
  return result;
}

BlockResult Detector::scan_plain(std::string_view block) {
  BlockResult result;
  BlockScan(*catalog_, block.size(), result).plain(block);
  if (result.findings.size() > 1) thin(result.findings);
  return result;
}

}  // namespace bottle::scan
