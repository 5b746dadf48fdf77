// Scans texts that are put together from pieces: from values, from groups of equal size, and from dumps.
//
// Text that is put together can look like a credential by chance, because the block does not contain it in this form.
// Such views are `joined`, and only rules whose credentials have a distinctive mark count in them. All groups of a
// text are scanned as one text, with bytes between them that no rule matches, because scanning each of many short
// texts separately would cost much more.
#include <algorithm>
#include <cctype>

#include "scan/block_scan.h"
#include "scan/credential/characters.h"
#include "scan/encoding/escapes.h"
#include "scan/encoding/groups.h"
#include "scan/encoding/peek.h"
#include "scan/encoding/simd/survey_masks.h"
#include "scan/join.h"

namespace bottle::scan {
namespace {

// Returns whether the text has the name of the encoding, which may have capitals (RFC 2045 §6.1).
bool names_quoted_printable(std::string_view text) {
  constexpr std::string_view kName = "quoted-printable";
  constexpr size_t kBlock = 64, kDash = 6;
  auto is_name = [&](size_t at) {
    return std::ranges::equal(text.substr(at, kName.size()), kName, {},
                              [](unsigned char c) { return std::tolower(c); });
  };
  size_t at = 0;
  // A row of one or two of these characters has no place where all three are.
  for (; at + kBlock + kDash <= text.size(); at += kBlock) {
    auto block_at = [&](size_t from) { return load_block(reinterpret_cast<const uint8_t*>(text.data()) + at + from); };
    uint64_t begins = mask_of(block_at(kDash), [](const Lanes& c) { return equal(c, '-'); });
    if (!begins) continue;
    begins &= mask_of(block_at(0), block_at(1),
                      [](const Lanes& c, const Lanes& next) { return equal(c | 32, 'q') & equal(next | 32, 'u'); });
    for (; begins; begins &= begins - 1)
      if (is_name(at + static_cast<size_t>(std::countr_zero(begins)))) return true;
  }
  for (; at + kName.size() <= text.size(); ++at)
    if ((text[at] | 32) == 'q' && is_name(at)) return true;
  return false;
}

// Returns whether the pairs of digits are those of a line of the dump, perhaps with some digits of an offset before and
// after them that are not part of a text.
bool is_in_dump(std::string_view text, const Decoded& dump, size_t begin, size_t end) {
  constexpr size_t kOfOffset = 3;  // two digits, and the byte after them
  auto digit = [&](size_t at) { return hex_digit(static_cast<uint8_t>(text[at])); };
  auto is_pair = [&](size_t at) { return at + 1 < end && digit(at) >= 0 && digit(at + 1) >= 0; };
  auto byte = [&](size_t at) { return static_cast<unsigned char>(digit(at) * 16 + digit(at + 1)); };
  // Of these, each is a control character, a space, '@' or '`'.
  auto is_of_offset = [&](size_t at) { return is_pair(at) && (byte(at) & 0x9f) == 0; };
  auto next = std::ranges::lower_bound(dump.anchors, begin, {}, [](const auto& each) { return each.from; });
  if (next != dump.anchors.end() && next->from == begin + kOfOffset && is_of_offset(begin)) begin = next->from;
  else if (next == dump.anchors.end() || next->from > begin) {
    if (next == dump.anchors.begin()) return false;
    --next;
  }
  size_t at = next->from, in_dump = next->at;
  for (; at < begin; ++at) {
    if (text[at] == ' ' || text[at] == '+') continue;
    if (!is_pair(at)) return false;
    ++in_dump, ++at;
  }
  for (; at < end; ++at) {
    if (text[at] == ' ' || text[at] == '+') continue;
    if (!is_pair(at)) break;
    if (in_dump == dump.text.size() || byte(at) != static_cast<unsigned char>(dump.text[in_dump])) return false;
    ++in_dump, ++at;
  }
  // The digits of the next offset come after the line end.
  while (at < end && digit(at) < 0) ++at;
  return at >= end || (at + kOfOffset >= end && is_of_offset(at));
}

// Returns whether the text has four hexadecimal digits in a row.
bool has_hex_row(std::string_view text) {
  uint64_t before = 0;
  std::array<uint8_t, kBlock> copy;
  for (size_t at = 0; at < text.size(); at += kBlock) {
    uint64_t digits = mask_of(load_block(padded<0>(text, at, copy)),
                              [](const Lanes& c) { return within(c, '0', 10) | within(c | 32, 'a', 6); });
    if (rows(before, digits, 4) || rows(digits, 0, 4)) return true;
    before = digits;
  }
  return false;
}

// Returns whether the text has no hexadecimal digits other than 0 and 1.
bool has_only_bits(std::string_view text) { return text.find_first_of("23456789abcdefABCDEF") == text.npos; }

// Returns positions in words of the text's line at `begin` that may be the offsets of a dump: words of at least seven
// digits, and those before a colon. The spaces before them are before `end`. Leaves out those up to `last_offset`.
// Adds the work of reading the line to `work`.
std::vector<size_t> offsets_in_line(std::string_view text, size_t begin, size_t end, size_t last_offset, size_t& work) {
  constexpr size_t kLongest = 320, kMost = 4, kFewestDigits = 4, kMany = 7, kMostDigits = 16;
  std::vector<size_t> offsets;
  if (end <= begin) return offsets;
  std::string_view line = text.substr(begin, std::min(kLongest, end - begin));
  line = line.substr(0, std::min(line.find('\n'), line.find("\\n")));
  work += line.size() * work::kOfLine;
  if (!has_hex_row(line)) return offsets;
  char space = line.contains(' ') ? ' ' : '+';  // as in a form
  auto is_digit = [&](size_t at) { return at < text.size() && hex_digit(static_cast<uint8_t>(text[at])) >= 0; };
  for (size_t at = line.find(space); at != line.npos && offsets.size() < kMost; at = line.find(space, at + 1)) {
    size_t first = begin + at + 1, last = first;
    while (last - first <= kMostDigits && is_digit(last)) ++last;
    bool has_colon = last < text.size() && text[last] == ':', ends = has_colon || text.substr(last).starts_with(space);
    bool is_offset = ends && last - first >= (has_colon ? kFewestDigits : kMany);
    if (is_offset && last > last_offset + 1) offsets.push_back(last - 1);
  }
  return offsets;
}

}  // namespace

std::pair<size_t, size_t> View::source(size_t begin, size_t end) const {
  if (!outer) return {begin, end};
  auto [from, to] = in_outer(begin, end);
  return outer->source(from, to);
}

std::pair<size_t, size_t> View::in_outer(size_t begin, size_t end) const {
  if (!map) return {fixed_begin, fixed_end};
  Origin origin = origin_of(outer->text, *map, begin, end);
  return {origin.begin, origin.end};
}

const GroupTexts::Part* View::part_at(size_t at) const {
  if (!groups) return nullptr;
  const auto& parts = groups->parts;
  auto next = std::ranges::upper_bound(parts, at, {}, [](const GroupTexts::Part& each) { return each.begin; });
  return next == parts.begin() ? nullptr : &*std::prev(next);
}

bool View::within_group(size_t at, Edge edge) const {
  const GroupTexts::Part* part = part_at(at);
  if (!part) return false;
  if (at == part->begin && part->within_word && edge != Edge::any) return true;
  return part->group > 0 && (at - part->begin + part->group - part->first % part->group) % part->group != 0;
}

bool follows_escape(std::string_view text, size_t at) {
  if (at < 2 || !std::string_view("nrtbf").contains(text[at - 1])) return false;
  size_t begin = at - 1;
  while (begin > 0 && text[begin - 1] == '\\') --begin;
  return (at - 1 - begin) % 2 == 1;
}

void BlockScan::scan_joined(const View& outer, const std::vector<Region>& regions) {
  size_t begun = 0;
  Decoded values = joined_values(outer.text, regions, work_left() / work::kBegun, begun);
  did_work(begun * work::kBegun);
  if (may_work(values.anchors.size() * work::kPiece)) scan_assembled(outer, values, "pieces");
}

// Scans a text that was put together from pieces. It is forgotten if it has a finding, because the same pieces at
// another place are another finding.
void BlockScan::scan_assembled(const View& outer, const Decoded& text, std::string_view encoding,
                               const GroupTexts* groups) {
  if (text.text.size() < kShortestRun) return;
  uint64_t hash = keyed_hash(text.text);
  if (was_seen(hash, outer.depth + 1, true)) return;
  if (text.text.size() > decoded_left_) {
    result_.incomplete = true;
    return;
  }
  decoded_left_ -= text.text.size();
  result_.decoded += text.text.size();
  size_t found = result_.findings.size();
  scan_view({.text = text.text,
             .outer = &outer,
             .map = &text,
             .groups = groups,
             .encoding = encoding,
             .depth = outer.depth + 1,
             .joined = true});
  if (result_.findings.size() > found) seen_[true].forget(hash);
}

// Scans the text of an email in quoted-printable, whose soft line breaks may be anywhere in a word.
void BlockScan::scan_quoted_printable(const View& outer, const std::vector<Region>& regions) {
  auto is_mail = [&](const Region& each) {
    return names_quoted_printable(outer.text.substr(each.begin, each.end - each.begin));
  };
  if (std::ranges::none_of(regions, is_mail) || !may_work(outer.text.size() * work::kOfLines)) return;
  Decoded decoded = quoted_printable(outer.text);
  if (decoded.text.size() == outer.text.size()) return;
  uint64_t hash = keyed_hash(decoded.text);
  if (was_seen(hash, outer.depth + 1, false)) return;
  text_left_ += decoded.text.size();  // the text counts only once toward the limit
  size_t found = result_.findings.size();
  scan_view({.text = decoded.text,
             .outer = &outer,
             .map = &decoded,
             .encoding = "quoted-printable",
             .depth = outer.depth + 1});
  if (result_.findings.size() > found) seen_[false].forget(hash);
}

// Scans the dump that has a word at `begin`, and returns whether there is one. Each of its lines has groups, so without
// `dump_end`, it would be scanned again from each line on.
bool BlockScan::scan_dump(const View& view, size_t begin) {
  bool found = false;
  for (bool little_endian : {false, true}) {
    DumpSearch search;
    Decoded dump = dumped(view.text, begin, little_endian, search);
    if (dump.text.empty()) {  // otherwise, the work for what it decodes to covers this
      did_work(search.read * work::kOfDump);
      view.last_offset = std::max(view.last_offset, search.without);
      break;
    }
    found = true;
    view.dump_end = dump.end;
    scan_decoded(view, dump, "dump");
    if (!little_endian) view.dump = std::move(dump);
  }
  return found;
}

// Scans the dump that the groups belong to. They may begin in the middle of its lines, or before it: words of other
// lines may be at the same distances as those of the dump.
void BlockScan::scan_dumps(const View& view, const Spot& groups) {
  constexpr size_t kMostBefore = 320, kMostLines = 4;
  if (groups.begin < view.dump_end) return;
  // What was searched before is not searched again.
  size_t from = std::max<size_t>(view.searched_for_dump, groups.begin - std::min<size_t>(groups.begin, kMostBefore));
  view.searched_for_dump = std::max<size_t>(view.searched_for_dump, groups.begin);
  // Returns whether a dump begins at `from` and reaches the groups. One that ends before them is not scanned again from
  // its other lines.
  auto reaches_groups = [&](bool begins_line) {
    may_work(work::kDumpLine);
    bool found = begins_line && scan_dump(view, from);
    // Words may come before the offset of its first line.
    size_t read = 0;
    if (!found)
      for (size_t offset : offsets_in_line(view.text, from, groups.end, view.last_offset, read)) {
        if (offset <= view.last_offset) continue;
        view.last_offset = offset;
        if (found = may_work(work::kDumpLine) && scan_dump(view, offset); found) break;
      }
    did_work(read);
    if (!found) return false;
    from = std::max(from, view.dump_end);
    return view.dump_end > groups.begin;
  };
  auto scan_lines = [&](size_t end, size_t most) {
    for (size_t lines = 0; lines < most && from < end; ++lines) {
      std::string_view rest = view.text.substr(from, end - from);
      did_work(rest.size() / work::kSearched);
      size_t line = std::min(rest.find('\n'), rest.find("\\n"));
      if (line == rest.npos) return false;
      from += line + (rest[line] == '\\' ? 2 : 1);
      if (reaches_groups(true)) return true;
    }
    return false;
  };
  if (reaches_groups(from == 0)) return;
  if (scan_lines(groups.begin, SIZE_MAX)) return;
  if (groups.begin >= view.last_offset && scan_dump(view, groups.begin)) return;
  from = groups.begin;
  scan_lines(groups.end, kMostLines);
}

// Scans pairs of digits. Those in a line of a dump need not be scanned again.
void BlockScan::scan_hex_pairs(const View& view, size_t begin, size_t end) {
  if (!may_work((end - begin) * work::kCompared) || is_in_dump(view.text, view.dump, begin, end)) return;
  if (!may_work((end - begin) * work::kPair)) return;
  Decoded bytes = hex_run(view.text, begin, end);
  scan_decoded(view, bytes, "hex");
  // The first digit may belong to something else. If the digits after it may encode text, the groups must be scanned,
  // too.
  shift(bytes.text, 4, shifted_);
  if (!has_text(shifted_) && !has_packed(shifted_)) view.pairs_begin = begin, view.pairs_end = end;
}

// Returns whether the groups are pairs of digits that were decoded and therefore need not be put together. Returns
// false if the digits themselves may be a known secret or binary digits.
bool BlockScan::is_of_pairs(const View& view, const Spot& groups) const {
  std::string_view text = view.text.substr(groups.begin, groups.end - groups.begin);
  if (catalog_.known_.has_hex() || has_only_bits(text)) return false;
  if (groups.begin >= view.pairs_begin && groups.end <= view.pairs_end) return has_only_pairs(text);
  return groups.end <= view.dump_end && is_in_dump(view.text, view.dump, groups.begin, groups.end);
}

// Returns whether the digits of the groups have a known secret, as its hexadecimal digits in reverse order are. What
// pairs of them decode to does not show it.
bool BlockScan::has_known_digits(const View& view, const Spot& groups) {
  if (catalog_.known_.empty() || !may_work((groups.end - groups.begin) * work::kGrouped)) return false;
  Decoded digits;
  ungroup(view.text, {groups.begin, groups.end, groups.period}, digits);
  fold(digits.text, folded_);
  bool found = false;
  catalog_.known_.find(folded_, [&](uint32_t, size_t, size_t) { found = true; });
  return found;
}

// Puts the groups together and adds the result to the texts, which are short and therefore scanned as one.
void BlockScan::collect_groups(const View& view, const Spot& at, GroupTexts& texts) {
  // Groups in a text that was itself put together are chance.
  if (view.joined) return;
  scan_dumps(view, at);
  if (may_work((at.end - at.begin) * work::kCompared) && is_of_pairs(view, at) && !has_known_digits(view, at)) return;
  // Groups are normally short. Longer ones are cut off here, because they would take as long as the rest of the
  // block.
  size_t end = std::min<size_t>(at.end, at.begin + grouped_left_ / at.period * at.period);
  if (end < at.begin + 2 * at.period) return;
  grouped_left_ -= end - at.begin;
  if (!may_work(work::kGroups + (end - at.begin) * work::kGrouped)) return;
  Decoded& all = texts.text;
  size_t begin = all.text.size(), anchors = all.anchors.size(), end_before = all.end;
  auto [group, first] = ungroup(view.text, {at.begin, end, at.period}, all);
  if (all.text.size() - begin < kShortestRun) {
    all.text.resize(begin);
    all.anchors.resize(anchors);
    all.end = end_before;
    return;
  }
  // A credential that begins in the middle of a group is chance, unless the groups are tiny.
  constexpr size_t kTiny = 2;
  // The columns that were left out may precede the first group, but they are not a part of a word.
  size_t from = all.anchors[anchors].from;
  bool within_word = from > 0 && from <= at.begin && std::isalnum(static_cast<unsigned char>(view.text[from - 1])) &&
                     view.text[from - 1] != view.text[from - 1 + at.period] && !follows_escape(view.text, from);
  texts.parts.push_back({begin, group > kTiny ? group : 0, first, at.period, within_word});
  all.add_anchor(all.text.size(), all.end);
  constexpr std::string_view kBetween = "\1\1\1\1";  // belongs to no run, row of numbers or pattern
  all.text.append(kBetween);
}

}  // namespace bottle::scan
