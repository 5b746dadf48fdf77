// Scans what may be an HTML form, in which a '+' stands for a space and other characters are percent escapes.
//
// Only known secrets, rules, card and account numbers, and phrases of wallets can have spaces. A text is therefore read
// twice: once like any other text, with each '+' as it is, and once with spaces, but then only for these. How these
// are found and judged is the same for other texts.
#include <algorithm>

#include "scan/block_scan.h"
#include "scan/credential/characters.h"
#include "scan/credential/numbers.h"

namespace bottle::scan {
namespace {

std::string with_spaces(std::string_view text, const std::vector<uint32_t>& pluses) {
  std::string out(text);
  for (uint32_t at : pluses) out[at] = ' ';
  return out;
}

}  // namespace

// Decodes the percent escapes of a text, and scans the result as it is and as a part of a form.
void BlockScan::scan_percent(const View& view, const Spot& at) {
  std::vector<uint32_t> pluses;
  Decoded decoded = percent(view.text, at.begin, at.end, &pluses);
  scan_escaped(view, decoded, at, "percent");
  if (pluses.empty()) return;
  std::string text = with_spaces(decoded.text, pluses);
  View form{.text = text, .outer = &view, .map = &decoded, .encoding = "percent", .depth = Detector::kDeepest};
  form.pluses = &pluses;
  form.joined = view.joined;
  scan_form(form, {{0, text.size()}});
}

// Scans the parts of a form that are not near a percent escape. `spots` has the escapes of the text.
void BlockScan::scan_form_between_escapes(const View& view, const std::vector<Spot>& spots) {
  constexpr size_t kChecked = 32;  // bytes for a unit of work
  // Nearly every text that is not a form has a space near its beginning.
  size_t space = std::min(view.text.find(' '), view.text.find('\n'));
  did_work(std::min(space, view.text.size()) / kChecked);
  if (space != view.text.npos) return;
  size_t plus = view.text.find('+');
  if (plus == view.text.npos || view.text.find('=') > plus) return;
  std::vector<Region> regions;
  size_t begin = 0;
  for (const Spot& each : spots) {
    if (each.shape != Shape::percent) continue;
    if (each.begin > begin) regions.push_back({begin, each.begin});
    begin = std::max<size_t>(begin, each.end);
  }
  if (begin < view.text.size()) regions.push_back({begin, view.text.size()});
  std::vector<uint32_t> pluses;
  for (const Region& each : regions) {
    std::vector<uint32_t> more = positions_of('+', view.text, each.begin, each.end);
    pluses.insert(pluses.end(), more.begin(), more.end());
  }
  if (pluses.empty() || !may_work(view.text.size() / work::kBytes)) return;
  // Its bytes have the same positions as those of the block.
  std::string text = with_spaces(view.text, pluses);
  scan_form({.text = text, .depth = Detector::kDeepest, .pluses = &pluses}, regions);
}

// The reading with spaces differs only where the text has a '+', so only the patterns that may have a space are
// searched in it, and nothing more is decoded.
void BlockScan::scan_form(const View& view, const std::vector<Region>& regions) {
  last_end_ = nullptr;  // as in scan_view()
  if (begun_size_) return scan_open_end(view);
  uint64_t hash = keyed_hash(view.text);
  if (was_seen(hash, Detector::kDeepest, view.joined)) return;
  size_t found = result_.findings.size(), size = view.text.size();
  if (!may_work(work::kRegion * regions.size() + size * work::kForm + view.pluses->size() * work::kPlus)) return;
  if (catalog_.known_.has_spaces() && may_work(size)) find_known(view, 0, size);
  find_credentials(view, regions);
  find_numbers_of_form(view);
  find_mnemonics_in_form(view);
  if (result_.findings.size() > found) seen_[view.joined].forget(hash);
}

// Finds the numbers that have spaces between their groups. A plus precedes the number, or follows its first groups.
void BlockScan::find_numbers_of_form(const View& view) {
  constexpr uint32_t kFarthest = 24;  // bytes from the beginning of the number to the first plus
  auto find = [&](uint32_t at) {
    if (may_begin_number(view.text, at) && may_work(work::kSpot)) find_numbers(view, {.begin = at});
  };
  auto is_of_number = [&](char c) { return is_alnum(c) || c == '-'; };
  uint32_t last = 0;  // the number at this position was examined
  for (uint32_t at : *view.pluses) {
    uint32_t begin = at;
    while (begin > last && at - begin < kFarthest && is_of_number(view.text[begin - 1])) --begin;
    if (begin < at && (begin > last || last == 0)) find(begin);
    find(last = at + 1);
  }
}

// Finds the words of wallets, which have three to eight letters. The survey, which finds them in other texts, does not
// look at this reading.
void BlockScan::find_mnemonics_in_form(const View& view) {
  constexpr size_t kFewest = 11, kMost = 48, kShortest = 3, kLongest = 8;  // spaces, and letters
  const auto& pluses = *view.pluses;
  auto is_letter = [&](size_t at) { return view.text[at] >= 'a' && view.text[at] <= 'z'; };
  for (size_t first = 0, next = 1; next <= pluses.size(); ++next) {
    size_t letters = next < pluses.size() ? pluses[next] - pluses[next - 1] - 1 : 0;
    bool is_word = letters >= kShortest && letters <= kLongest && is_letter(pluses[next] - size_t{1});
    if (is_word && next - first < kMost) continue;
    if (next - first >= kFewest) {
      size_t begin = pluses[first], end = pluses[next - 1] + size_t{1};
      while (begin > 0 && pluses[first] - begin < kLongest && is_letter(begin - 1)) --begin;
      while (end < view.text.size() && end - pluses[next - 1] <= kLongest && is_letter(end)) ++end;
      if (!may_work(work::kWords)) return;
      find_mnemonics(view, {.begin = static_cast<uint32_t>(begin), .end = static_cast<uint32_t>(end)});
    }
    first = next;
  }
}

void BlockScan::find_mnemonics(const View& view, const Spot& at) {
  if (catalog_.words_.empty()) return;
  int before = phrases_left_;
  each_mnemonic(view.text.substr(at.begin, at.end - at.begin), phrases_left_, [&](size_t begin, size_t end) {
    for (const Rule* rule : catalog_.words_) report(view, *rule, at.begin + begin, at.begin + end, true);
  });
  did_work(static_cast<size_t>(before - phrases_left_) * work::kPhrase);
  result_.incomplete |= phrases_left_ <= 0;
}

void BlockScan::find_numbers(const View& view, const Spot& at) {
  if (view.joined) return;
  size_t card = catalog_.cards_.empty() ? 0 : card_at(view.text, at.begin), read = 0;
  if (card && !(may_work(work::kIds) && is_among_ids(view.text, at.begin, card)))
    for (const Rule* rule : catalog_.cards_) report(view, *rule, at.begin, card, true);
  size_t iban = catalog_.ibans_.empty() ? 0 : iban_at(view.text, at.begin, read);
  did_work(read * work::kOfAccount);
  for (const Rule* rule : catalog_.ibans_)
    if (iban) report(view, *rule, at.begin, iban, true);
}

// Judges a match. Once the block has used up the work that ordinary text needs, looks only at what is near, and at
// the rest only to find out where a credential ends.
std::optional<Credential> BlockScan::judge_match(const View& view, const Rule& rule, const Match& match) {
  constexpr size_t kBefore = 320, kAfter = 32, kFarAfter = 320;
  judging_.work = 0;
  if (judging_left_ == 0) {
    size_t from = match.begin - std::min(match.begin, kBefore);
    // A password in a URL counts only with the '@' after it, and the headers of a key come before its body.
    bool far = rule.check == Check::userinfo || rule.check == Check::pem || rule.check == Check::putty;
    std::string_view near = view.text.substr(from, match.end + (far ? kFarAfter : kAfter) - from);
    auto found = judge(rule, near, match.begin - from, match.end - from, view.joined, judging_);
    result_.judged += judging_.work;
    did_work(judging_.work * work::kJudged);
    if (!found) return {};
    if (second_looks_left_ == 0) return Credential{from + found->begin, from + found->end, found->sure};
    --second_looks_left_;
  }
  judging_.work = 0;
  auto found = judge(rule, view.text, match.begin, match.end, view.joined, judging_);
  result_.judged += judging_.work;
  did_work(judging_.work * work::kJudged);
  judging_left_ -= std::min(judging_left_, judging_.work);
  return found;
}

}  // namespace bottle::scan
