// A block is a tree of texts: the block itself, what its parts decode to, what those decode to, and so on. scan_view()
// searches one text: first for known secrets and matches of rules as they are, then in the places where the survey
// found that something may be encoded. Each decoded text becomes a View, which remembers the text that it came from,
// and scan_view() is called for it. These links lead from a finding to its place in the block.
//
// An attacker may choose the block, so every step charges its work to the budget in advance (may_work). When the
// budget is spent, the block itself is still searched as it is, but nothing more is decoded, and the result is
// incomplete. Where secrets are blocked, such a message is refused, so a block cannot be made so expensive that a
// secret in it passes.
#include "scan/block_scan.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "scan/credential/checks.h"
#include "scan/credential/fingerprint.h"
#include "scan/credential/names.h"
#include "scan/credential/numbers.h"
#include "scan/credential/stand_in.h"
#include "scan/encoding/peek.h"

namespace bottle::scan {
namespace {

constexpr size_t kMostFindings = 256, kMostWarnings = 32;  // per block

// Returns whether a match in a text that was assembled from pieces can be chance, because the rule requires no
// distinctive mark.
bool needs_context(const Rule& rule) {
  switch (rule.check) {
    case Check::token:
    case Check::crc32_base62:
    case Check::aws_key_id:
    case Check::not_base64:
    case Check::jwt:
    case Check::discord:
    case Check::bitwarden:
    case Check::asana:
    case Check::pem:
      return false;
    default:
      return true;
  }
}

// Returns whether a mark of some letters begins the text, as in "glpat-", and many changes of case follow. Joined words
// seldom have both.
bool is_of_both_cases(std::string_view text) {
  constexpr size_t kShortestMark = 5, kLongestMark = 8, kFewest = 6;
  size_t mark = text.find_first_of("-_");
  if (mark < kShortestMark || mark > kLongestMark) return false;
  size_t changes = 0;
  for (size_t i = mark + 2; i < text.size(); ++i) {
    auto of = [&](size_t at) { return static_cast<unsigned char>(text[at]); };
    changes += std::isalpha(of(i - 1)) && std::isalpha(of(i)) && std::isupper(of(i - 1)) != std::isupper(of(i));
  }
  return changes >= kFewest;
}

// Returns whether `size` bytes that come from there are as they were before the text was decoded.
bool is_plain(Decoded::Form form, size_t size, const Origin& origin) {
  bool unescaped = form == Decoded::Form::percent || form == Decoded::Form::escapes || form == Decoded::Form::quoted;
  return form == Decoded::Form::lines || (unescaped && origin.end - origin.begin == size);
}

// Returns the fingerprint of a value of the rule. How the digits of a number are grouped makes no difference.
std::string fingerprint_of(const Rule& rule, std::string_view value) {
  if (rule.check != Check::luhn && rule.check != Check::iban) return fingerprint(value);
  std::string digits(value);
  std::erase_if(digits, [](char c) { return c == ' ' || c == '-'; });
  return fingerprint(digits);
}

bool is_alnum(std::string_view text, size_t at) {
  return at < text.size() && std::isalnum(static_cast<unsigned char>(text[at]));
}

// Returns whether, in a text that was assembled from pieces, the match begins in the middle of a word of its piece.
bool begins_within_word(const View& view, const Match& match) {
  size_t from = view.in_outer(match.begin, match.begin + 1).first;
  std::string_view outer = view.outer->text;
  if (match.begin == 0 || from == 0 || !is_alnum(view.text, match.begin - 1) || !is_alnum(outer, from - 1))
    return false;
  // A letter that each group repeats was left out, and it separates the groups.
  const GroupTexts::Part* part = view.part_at(match.begin);
  bool is_kept = !part || view.in_outer(match.begin - 1, match.begin).second == from;
  if (!is_kept && from - 1 + part->period < outer.size() && outer[from - 1] == outer[from - 1 + part->period])
    return false;
  return !follows_escape(outer, from);
}

// Returns whether the match ends in the middle of a word of its piece.
bool ends_within_word(const View& view, const Match& match) {
  if (!view.map || view.map->form != Decoded::Form::parts) return false;
  size_t to = view.in_outer(match.end - 1, match.end).second;
  std::string_view outer = view.outer->text;
  if (!is_alnum(outer, to)) return false;
  const GroupTexts::Part* part = view.part_at(match.begin);
  bool is_kept = !part || view.in_outer(match.end, match.end + 1).first == to;
  return is_kept || to < part->period || outer[to] != outer[to - part->period];
}

// Returns whether, in a text that was assembled from pieces, the match begins in the middle of a word of its piece, or
// ends in the middle of one although its rule requires that it stand alone.
bool cuts_word(const View& view, const Match& match, Edge edge) {
  if (!view.outer) return false;
  return (edge == Edge::alone && ends_within_word(view, match)) || begins_within_word(view, match);
}

// Returns whether the match, and what its rule looks at, are the same with '+' for the spaces of `view.pluses`.
bool is_same_with_pluses(const View& view, const Rule& rule, const Match& match) {
  if (!match.is_name && needs_context(rule)) return false;
  auto plus = std::ranges::lower_bound(*view.pluses, match.begin);
  if (plus == view.pluses->end()) return true;
  if (*plus < match.end) return false;
  if (!match.is_name) return true;
  // A value may be on the next line if that begins with spaces.
  size_t line_end = view.text.substr(0, *plus).find('\n', match.end);
  return line_end != view.text.npos && line_end + 1 < *plus;
}

}  // namespace

BlockScan::BlockScan(Catalog& catalog, size_t size, Effort effort, BlockResult& result)
    : catalog_(catalog),
      result_(result),
      decoded_left_(size * Detector::kMostDecoded + kFreelyDecoded),
      text_left_(size * Detector::kMostText + kFreelyDecoded),
      most_work_((size * Detector::kMostWork + Detector::kFreeWork) * (effort == Effort::thorough ? 2 : 1)),
      most_findings_(effort == Effort::thorough ? 2 * kMostFindings : kMostFindings),
      is_thorough_(effort == Effort::thorough) {
  if (!catalog.is_steady_) return;
  saved_ = (size * Detector::kSteadyWork + Detector::kFreeSteadyWork) * (is_thorough_ ? 2 : 1);
  unsaved_ = size < Detector::kSmallBlock ? std::max(saved_, Detector::kLeastSteadyWork) : saved_;
  steady_work_ = unsaved_ + catalog.take_reserve();
}

BlockScan::~BlockScan() {
  forget_windows();
  size_t taken = unsaved_ + std::max(result_.work, lent_);
  if (catalog_.is_steady_) catalog_.give_back(steady_work_ - std::min(steady_work_, taken));
}

size_t BlockScan::work_left() const {
  size_t most = std::min(most_work_, steady_work_), taken = result_.work - overdrawn_ + reserved_;
  return most - std::min(most, taken);
}

bool BlockScan::may_work(size_t work) {
  result_.incomplete |= spent_ |= work > work_left();
  if (!spent_) result_.work += work;
  return !spent_;
}

void BlockScan::did_work(size_t work) {
  size_t left = work_left();
  result_.incomplete |= spent_ |= work > left;
  result_.work += work;
  overdrawn_ += work - std::min(work, left);
}

void BlockScan::all(std::string_view block, bool is_joined) {
  unsaved_ -= saved_;
  scan_view({.text = block, .joined = is_joined});
}

void BlockScan::plain(std::string_view block) { scan_view({.text = block, .depth = Detector::kDeepest}); }

void BlockScan::begun(std::string_view block) {
  begun_size_ = block.size();
  scan_view({.text = block});
}

void BlockScan::begun_known(std::string_view block) { scan_open_known({.text = block}); }

void BlockScan::scan_open_known(const View& view) {
  fold(view.text, folded_);
  if (auto begun = catalog_.known_.begun(folded_)) {
    const std::string& name = catalog_.known_.name(begun->first);
    add(view, {.name = name, .what = "the beginning of secret \"" + name + "\""}, begun->second, view.text.size());
  }
}

// Finds a secret or credential in whose middle the text ends. A credential counts if any text that could follow would
// complete it.
void BlockScan::scan_open_end(const View& view) {
  constexpr size_t kSlack = 4, kTail = 256, kShown = 20;  // an encoded text may end within a group
  if (view.text.size() < KnownSecrets::kSurelyBegun) return;
  if (view.source(view.text.size() - 1, view.text.size()).second + kSlack < begun_size_) return;
  scan_open_known(view);
  if (!may_work(work::kOpenEnd)) return;
  size_t from = view.text.size() - std::min(view.text.size(), kTail), end = view.text.size();
  static constexpr std::string_view kHex = "3f9a0c57d1e2b8460f7c3ab59e21d84c6b05f3a79d1c8e42";
  static constexpr std::string_view kMixed = "k3Rz9WqLx7TpVbN2hJcYdF5mGs8AeUoQ4wZt6XnKvBjHrPyM";
  for (std::string_view more : {kHex, kMixed}) {
    std::string text(view.text.substr(from));
    text.append(more).append(more).append(more);
    Judging judging;
    auto judge_begun = [&](const Rule& rule, size_t begin, size_t match_end) {
      if (rule.off || rule.warns || needs_context(rule) || begin + kShown > end - from) return;
      if (match_end <= end - from || !looks_random(std::string_view(text).substr(begin, end - from - begin))) return;
      if (judge(rule, text, begin, match_end, false, judging)) report(view, rule, from + begin, end, false);
    };
    for (auto& [matcher, first] : catalog_.matchers_) {
      bool done = matcher.scan(text, [&, first = first](const Match& match) {
        judge_begun(catalog_.rules_[first + match.rule], match.begin, match.end);
      });
      result_.incomplete |= !done;
    }
    for (const auto& [rule, each_token] : catalog_.shaped_)
      each_token(text, [&, rule = rule](size_t begin, size_t to) { judge_begun(*rule, begin, to); });
  }
}

void BlockScan::scan_view(const View& each) {
  last_end_ = nullptr;  // the address of a text that is gone may be that of another one
  auto [regions, rows] = text_regions(each.text);
  if (each.by_chance) regions = readable_parts(each.text);
  size_t text = 0;
  for (const Region& region : regions) text += region.end - region.begin;
  // The text of the block is always searched, whatever the budget.
  size_t of_text = text * (each.depth > 0 ? work::kDecodedText : work::kText) + each.text.size();
  if (!may_work(work::kView + of_text / work::kBytes) && each.depth > 0) return;
  if (each.depth > 0 && text > text_left_) {
    result_.incomplete = true;
    return;
  }
  if (each.depth > 0) text_left_ -= text;
  if (begun_size_) {
    scan_open_end(each);
  } else {
    find_known(each, regions);
    find_known(each, rows);
    find_credentials(each, regions);
  }
  if (each.depth == Detector::kDeepest || spent_) return;
  if (begun_size_ == 0 && !each.joined && each.depth <= 2) scan_joined(each, regions);
  if (begun_size_ == 0 && !each.joined) {
    scan_zip_entries(each);
    scan_quoted_printable(each, regions);
  }
  scan_spots(each, regions);
}

void BlockScan::scan_spots(const View& each, const std::vector<Region>& regions) {
  constexpr int kShallow = 2;  // deeper, what is among escapes might be too deep in the text that they decode to
  std::vector<Spot> spots;
  did_work(survey(each.text, regions, spots,
                  {.groups = !each.joined,
                   .all_numbers = catalog_.known_.has_unlike(),
                   .in_escaped = each.depth > kShallow || catalog_.known_.has_unlike(),
                   .most_work = work_left()}));
  if (each.depth == 0 && !each.joined) scan_form_between_escapes(each, spots);
  GroupTexts texts;
  std::vector<ShortTexts> short_texts;
  View view = each;
  view.short_texts = &short_texts;
  for (const Spot& at : spots) {
    if (!may_work(work::kSpot)) break;
    if (at.shape == Shape::groups) collect_groups(view, at, texts);
    else scan_spot(view, at);
  }
  for (ShortTexts& gathered_texts : short_texts) scan_gathered(view, gathered_texts);
  if (!spent_) scan_assembled(view, texts.text, "groups", &texts);
}

void BlockScan::find_known(const View& view, const std::vector<Region>& regions) {
  if (catalog_.known_.empty()) return;
  // A secret is at least 8 bytes long, so if it is text, it is within a region.
  if (!catalog_.known_.all_text()) return find_known(view, 0, view.text.size());
  for (const Region& each : regions) find_known(view, each.begin, each.end);
}

void BlockScan::find_known(const View& view, size_t begin, size_t end) {
  fold(view.text.substr(begin, end - begin), folded_);
  catalog_.known_.find(folded_, [&](uint32_t secret, size_t from, size_t to) {
    did_work(work::kMatch);
    if (!has_room(false)) return;
    const std::string& name = catalog_.known_.name(secret);
    add(view, {.name = name, .what = "secret \"" + name + "\"", .sure = true}, begin + from, begin + to);
  });
}

void BlockScan::find_credentials(const View& view, const std::vector<Region>& regions) {
  constexpr size_t kWorkForByte = 3;  // enough for values that take more than half of the text
  judging_left_ += view.text.size() * kWorkForByte;
  judging_ = {};
  PlacedMatch last;
  for (const auto& [begin, end] : regions) {
    for (Catalog::Part& part : catalog_.matchers_) {
      size_t most = 0, left = 0;  // the work that the matcher may take
      auto count_cores = [&] {
        did_work(most - left);
        most = left = view.depth == 0 && is_thorough_ ? SIZE_MAX : work_left();
      };
      auto examine = [&, begin = begin](Match match) {
        count_cores();
        match.begin += begin, match.end += begin;
        if (!examine_next(view, part, match, last)) part.matcher.stop();
        count_cores();
      };
      count_cores();
      did_work(work::kRegion);
      bool done = part.matcher.scan(view.text.substr(begin, end - begin), examine, left,
                                    view.pluses ? Patterns::with_spaces : Patterns::all);
      count_cores();
      result_.incomplete |= !done;
    }
    if (view.pluses) continue;
    for (const auto& [rule, each_token] : catalog_.shaped_)
      each_token(view.text.substr(begin, end - begin), [&, begin = begin, rule = rule](size_t from, size_t to) {
        if (may_work(work::kMatch); !has_ended(view))
          examine_match(view, *rule, {.begin = begin + from, .end = begin + to});
      });
  }
}

// Examines a match unless it is like the last one. Returns whether the scan goes on.
bool BlockScan::examine_next(const View& view, const Catalog::Part& part, const Match& match, PlacedMatch& last) {
  const Rule& rule = catalog_.rules_[part.first + match.rule];
  did_work(work::kMatch);
  if (has_ended(view)) return false;
  if (result_.full && !rule.warns) return true;
  if (view.pluses && is_same_with_pluses(view, rule, match)) return true;
  if (&rule == last.rule && match.end == last.end && !needs_beginning(rule)) return true;
  last = {&rule, match.end};
  if (!match.is_name) {
    examine_match(view, rule, match);
  } else if (!view.joined) {
    Values values = values_of_name(view.text, match.end);
    did_work(work::kName + values.count * work::kValue);
    for (size_t value : values) examine_match(view, rule, {.rule = match.rule, .begin = match.begin, .end = value});
  }
  return true;
}

void BlockScan::examine_match(const View& view, const Rule& rule, const Match& match) {
  if (rule.off || (view.joined && needs_context(rule)) || !has_room(rule.warns)) return;
  std::string_view text = view.text.substr(match.begin, match.end - match.begin);
  if (view.joined) did_work(work::kJoined + text.size() * work::kOfJoined);
  auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (view.joined && std::ranges::count_if(text, is_digit) < 2 && !looks_random(text) && !is_of_both_cases(text))
    return;  // joined words
  if (view.joined && cuts_word(view, match, rule.edge)) return;
  if (view.within_group(match.begin, rule.edge)) return;
  if (view.joined && view.outer) {
    auto [from, to] = view.in_outer(match.begin, match.end);
    // Text within one piece was judged in that piece, together with the text around it.
    if (view.outer->text.substr(from, to - from).find(text) != text.npos) return;
  }
  if (auto found = judge_match(view, rule, match)) report(view, rule, found->begin, found->end, found->sure);
}

// The same text often comes several times, for example from two alignments or notations. A text that was scanned at
// the same depth or less has nothing new, whereas a smaller depth allows more decoding.
bool BlockScan::was_seen(uint64_t hash, int depth, bool is_joined) {
  if (seen_[is_joined].has(hash, depth)) return true;
  seen_[is_joined].add(hash, depth);
  return false;
}

// Decodes one place that may be encoded, and scans the result. Work that can be avoided is avoided here: a text whose
// digits show that it hides nothing is not decoded (peek.h).
void BlockScan::scan_spot(const View& view, const Spot& at) {
  size_t size = at.end - at.begin;
  switch (at.shape) {
    case Shape::run:
      return scan_run(view, at);
    case Shape::hex_pairs:
      return scan_hex_pairs(view, at.begin, at.end);
    case Shape::wide:
      if (!may_work(size * work::kPair)) return;
      return scan_decoded(view, narrowed(view.text, at.begin, at.end), at.period == 4 ? "utf-32" : "utf-16");
    case Shape::escapes:
      if (!may_work(size * work::kEscape)) return;
      return scan_escapes(view, at);
    case Shape::percent:
      if (!may_work(size * work::kEscape)) return;
      return scan_percent(view, at);
    case Shape::decimals:
      if (!may_work(work::kNumbers + size * work::kNumber)) return;
      if (!decimals_hide(view.text.substr(at.begin, at.end - at.begin)) && !catalog_.known_.has_unlike()) return;
      if (!may_work(size * work::kDecimal)) return;
      return scan_decoded(view, decimal_run(view.text, at.begin, at.end), "decimal");
    case Shape::words:
      if (!may_work(work::kWords)) return;
      return find_mnemonics(view, at);
    case Shape::digits:
      return find_numbers(view, at);
    case Shape::compressed:
      return scan_compressed(view, at);
    case Shape::groups:
      return;
    case Shape::letters:
      if (!may_work(size * work::kEscape)) return;
      return scan_escaped(view, plain_letters(view.text, at.begin, at.end), at, "letters");
  }
}

// Scans a text without its escapes, unless it had none: each of them becomes shorter.
void BlockScan::scan_escaped(const View& view, const Decoded& decoded, const Spot& at, std::string_view encoding) {
  if (decoded.text.size() < at.end - at.begin) scan_decoded(view, decoded, encoding);
}

// Without room for a finding that is more than a warning, the result is incomplete: the policy may let all earlier
// findings pass and block this one. Decoding ends, too, because it could add no such finding.
bool BlockScan::has_room(bool warns) {
  if (result_.findings.size() < (warns ? kMostWarnings : most_findings_)) return true;
  if (!warns) result_.full = result_.incomplete = spent_ = true;
  return false;
}

void BlockScan::report(const View& view, const Rule& rule, size_t begin, size_t end, bool sure) {
  if (!has_room(rule.warns)) return;  // before the fingerprint is computed, which takes long
  Finding finding{.rule = &rule, .name = rule.id, .what = rule.is, .sure = sure};
  constexpr size_t kMostCopied = 256 * 1024;
  std::string_view value = view.text.substr(begin, end - begin);
  // The size of a number depends on how its digits are grouped.
  bool is_number = rule.check == Check::luhn || rule.check == Check::iban;
  bool has_size = is_number ? !catalog_.allowed_sizes_.empty() : catalog_.allowed_sizes_.contains(value.size());
  bool may_pass = has_size || !catalog_.allowed_.empty() || !rule.ignored.empty();
  auto known = may_pass ? fingerprint_to_compare(rule, value) : std::nullopt;
  if (known && (catalog_.allowed_.contains(*known) || catalog_.allowed_values_.contains(*known) ||
                std::ranges::find(rule.ignored, *known) != rule.ignored.end()))
    return;
  if (known) {
    finding.fingerprint = *known;
  } else if (copied_ < kMostCopied) {
    finding.value = values_.size();
    keep_value(value);
  } else {
    finding.fingerprint = fingerprint_of(rule, value);
  }
  add(view, std::move(finding), begin, end);
}

std::optional<std::string> BlockScan::fingerprint_to_compare(const Rule& rule, std::string_view value) {
  constexpr size_t kMostRemembered = 64;
  std::string key = rule.id + ' ';
  key.append(value);
  if (auto found = hashes_.find(key); found != hashes_.end()) return found->second;
  if (!may_work(work::kHash + value.size() * work::kHashed)) return {};
  ++result_.hashed;
  std::string made = fingerprint_of(rule, value);
  if (hashes_.size() < kMostRemembered) hashes_.emplace(std::move(key), made);
  return made;
}

void BlockScan::keep_value(std::string_view text) {
  const char *begin = text.data(), *end = begin + text.size();
  if (last_end_ && begin >= last_begin_ && begin <= last_end_ && end >= last_end_) {
    values_.push_back({copies_.size() - 1, static_cast<size_t>(begin - last_begin_), text.size()});
  } else {
    values_.push_back({copies_.size(), 0, text.size()});
    copies_.emplace_back();
    last_begin_ = last_end_ = begin;
  }
  copies_.back().append(last_end_, end);
  copied_ += static_cast<size_t>(end - last_end_);
  last_end_ = end;
}

void BlockScan::add_fingerprints() {
  for (Finding& each : result_.findings) {
    if (each.value >= values_.size()) continue;
    const auto& [copy, begin, size] = values_[std::exchange(each.value, SIZE_MAX)];
    each.fingerprint = fingerprint_of(*each.rule, std::string_view(copies_[copy]).substr(begin, size));
  }
}

void BlockScan::add(const View& view, Finding finding, size_t begin, size_t end) {
  if (!has_room(finding.warns())) return;
  for (const View* each = &view; each->outer; each = each->outer) {
    Origin origin =
        each->map ? origin_of(each->outer->text, *each->map, begin, end) : Origin{each->fixed_begin, each->fixed_end};
    // Removing line ends is not an encoding, and neither is removing escapes if all of them are beside the value. The
    // outermost of the other encodings decides whether the block has Base64 here.
    if (!each->map || !is_plain(each->map->form, end - begin, origin)) {
      if (!each->encoding.empty())
        finding.encoding += (finding.encoding.empty() ? "" : " in ") + std::string(each->encoding);
      finding.is_base64 = each->map && each->map->form == Decoded::Form::base64;
      finding.skipped = origin.skipped;
    }
    begin = origin.begin;
    end = origin.end;
    may_work(work::kLayer);
  }
  finding.begin = begin;
  finding.end = end;
  may_work(work::kFinding);
  result_.findings.push_back(std::move(finding));
}

}  // namespace bottle::scan
