// The check reads a record once and names what is wrong in terms of lines. Two things identify a line: its number and
// the hash of the line before it. The hash is the stronger of the two, because it cannot be guessed for a line that was
// changed. A line whose hash fits is therefore in its place, whatever its number says. A line with a higher number than
// the next one reveals a gap. A line with a lower number was moved from a gap, repeated, or never belonged to the
// record.
//
// Lines that cannot be read are judged only at the next line that is in its place. If that line shows that as many
// lines are missing, they are changed lines of the record; otherwise, they are foreign. Gaps are reported at the end,
// because a missing line may still turn up in another place.
#include "session/audit/audit_chain.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/ids.h"
#include "base/text/parse.h"
#include "pki/seal.h"

namespace bottle::session {
namespace {

// The number of hexadecimal digits of a hash that distinguish the lines of one file. A string of this length needs no
// extra memory.
constexpr size_t kPrefix = 15;
constexpr size_t kHash = 64;  // length of a hash in hexadecimal

std::string hash_of(std::string_view line) { return to_hex(pki::digest(line)); }

// Holds the place of a line in its record.
struct Trail {
  uint64_t number = 0;
  std::string_view after;
};

// Returns nothing if the text is not a trail.
std::optional<Trail> trail_in(std::string_view text) {
  if (text.size() < kHash + 2) return std::nullopt;
  size_t space = text.size() - kHash - 1;
  auto number = number_in<uint64_t>(text.substr(0, space));
  if (!number || *number == 0 || text[space] != ' ') return std::nullopt;
  return Trail{*number, text.substr(space + 1)};
}

struct KindName {
  std::string_view name, text;
};
// The order is that of AuditFault::Kind.
constexpr std::array<KindName, 7> kKinds = {{
    {"changed", "has changed since it was written"},
    {"missing", "follows lines that are missing"},
    {"moved", "is out of order"},
    {"repeated", "appears twice"},
    {"foreign", "does not belong to this record"},
    {"appended", "was added after the end of the record"},
    {"cut", "the end of the record is missing"},
}};

}  // namespace

std::string_view name_of(AuditFault::Kind kind) { return kKinds[static_cast<size_t>(kind)].name; }

std::string describe(const AuditFault& fault) {
  using Kind = AuditFault::Kind;
  std::string line = "line " + std::to_string(fault.line), count = std::to_string(fault.count);
  std::string text(kKinds[static_cast<size_t>(fault.kind)].text);
  if (fault.kind == Kind::missing)
    return count + (fault.count == 1 ? " line is missing" : " lines are missing") + " before " + line;
  if (fault.kind == Kind::cut) return fault.count ? text + " (" + count + " lines)" : text;
  if (fault.kind == Kind::appended && fault.count > 1)
    return count + " lines from " + line + " on were added after the end of the record";
  return line + " " + text;
}

AuditChain AuditChain::after(std::string_view last) {
  AuditChain chain;
  auto decision = wire::decode<wire::Decision>(last, wire::From::ours);
  auto trail = decision ? trail_in(decision->trail) : std::nullopt;
  // Without a trail, the numbers start again, but the next line is still chained to this one.
  chain.lines_ = trail ? trail->number : 0;
  chain.head_ = hash_of(last);
  return chain;
}

// Appends the trail as text, because the codec would take several times as long. In the JSON that the codec writes, the
// keys are in alphabetical order, and `trail` is the last one.
std::string AuditChain::next(const wire::Decision& decision) const {
  std::string line = wire::encode(decision, wire::Layout::ascii);
  line.pop_back();
  return line.append(",\"trail\":\"").append(std::to_string(lines_ + 1)).append(" ").append(head_).append("\"}\n");
}

void AuditChain::add(std::string_view line) {
  ++lines_;
  head_ = hash_of(line.substr(0, line.size() - 1));
}

void AuditCheck::fault(AuditFault::Kind kind, uint64_t line, uint64_t count) {
  AuditFault fault{kind, line, count};
  // One changed line can be noticed twice: by its own content and by the hash in the line after it.
  if (!report_.faults.empty() && report_.faults.back() == fault) return;
  if (report_.faults.size() < AuditReport::kMostFaults) report_.faults.push_back(fault);
  else ++report_.more;
}

// Sorts a line into one of the cases above. Lines after the end of the record are judged separately.
void AuditCheck::feed(std::string_view line) {
  ++at_;
  report_.head = hash_of(line);
  auto decision = wire::decode<wire::Decision>(line, wire::From::ours);
  if (!decision) ++unreadable_;
  auto trail = decision ? trail_in(decision->trail) : std::nullopt;
  // Lines of the record may have been moved or copied after its end. All others were appended.
  if (closed_) {
    if (trail && take_misplaced(trail->number, report_.head)) return;
    if (appended_++ == 0) first_appended_ = at_;
  } else if (!trail) {
    foreign_.push_back(at_);
  } else if (trail->after != head_ && trail->number < next_) {
    if (!take_misplaced(trail->number, report_.head)) fault(AuditFault::Kind::foreign, at_);
  } else {
    take(trail->number, trail->after, report_.head);
    closed_ = decision->is_end();
  }
}

// Takes a line that follows the one before it, or whose number has not been reached yet.
void AuditCheck::take(uint64_t number, std::string_view after, const std::string& hash) {
  bool follows = after == head_;
  uint64_t missing = follows ? 0 : number - next_;
  take_foreign(missing);
  // Either the line's own number was changed, or the line before it, or the hash of that line in this one.
  if (follows && number != next_) fault(AuditFault::Kind::changed, at_);
  if (!follows && missing == 0) fault(AuditFault::Kind::changed, std::max<uint64_t>(last_in_place_, 1));
  // The check continues from this line. Otherwise, after one missing line, all later ones would count as wrong.
  if (!follows) next_ = number;
  by_line_[next_] = hash.substr(0, kPrefix);
  ++next_;
  head_ = hash;
  last_in_place_ = at_;
}

// Judges the lines that cannot be read. They count as changed lines of the record if as many numbers are missing.
void AuditCheck::take_foreign(uint64_t missing) {
  uint64_t changed = std::min<uint64_t>(missing, foreign_.size());
  for (size_t i = 0; i < foreign_.size(); ++i)
    fault(i < changed ? AuditFault::Kind::changed : AuditFault::Kind::foreign, foreign_[i]);
  if (missing > changed) gaps_.push_back({at_, next_, next_ + missing, missing - changed});
  foreign_.clear();
}

// Takes a line whose number is lower than the next one. Returns false if it was never a line of the record.
bool AuditCheck::take_misplaced(uint64_t number, const std::string& hash) {
  auto known = by_line_.find(number);
  if (known != by_line_.end()) {
    if (known->second != std::string_view(hash).substr(0, kPrefix)) return false;
    fault(AuditFault::Kind::repeated, at_);
    return true;
  }
  // This finds the first gap that ends after the number. Gaps are in the order of their numbers.
  auto gap = std::ranges::upper_bound(gaps_, number, {}, &Gap::end);
  if (gap == gaps_.end() || number < gap->first || gap->count == 0) return false;
  --gap->count;
  by_line_[number] = hash.substr(0, kPrefix);
  fault(AuditFault::Kind::moved, at_);
  return true;
}

// Compares the record with the seal. A record may be longer than its seal says. Then the line that was the last one
// must have the hash of the seal, and all lines after it were appended.
void AuditCheck::check_seal(const wire::AuditSeal& seal) {
  uint64_t lines = next_ - 1;
  if (lines < seal.lines) return fault(AuditFault::Kind::cut, at_ + 1, seal.lines - lines);
  bool same = lines == seal.lines && head_ == seal.head;
  auto sealed = by_line_.find(seal.lines);
  if (lines > seal.lines && sealed != by_line_.end()) same = seal.head.starts_with(sealed->second);
  if (!same) fault(AuditFault::Kind::changed, lines == seal.lines ? last_in_place_ : seal.lines);
  if (lines > seal.lines) fault(AuditFault::Kind::appended, at_ + 1 - (lines - seal.lines), lines - seal.lines);
}

AuditReport AuditCheck::finish(const wire::AuditSeal* seal, bool may_be_open) {
  // No further line can show that lines are missing.
  take_foreign(0);
  for (const auto& gap : gaps_)
    if (gap.count) fault(AuditFault::Kind::missing, gap.line, gap.count);
  if (appended_) fault(AuditFault::Kind::appended, first_appended_, appended_);
  if (seal) check_seal(*seal);
  else if (!closed_ && !may_be_open) fault(AuditFault::Kind::cut, at_ + 1, 0);
  report_.lines = at_;
  report_.closed = closed_;
  // Different steps found the faults, but a person reads them in the order of the file.
  std::ranges::sort(report_.faults, {}, [](const AuditFault& each) { return std::pair(each.line, each.kind); });
  return std::move(report_);
}

}  // namespace bottle::session
