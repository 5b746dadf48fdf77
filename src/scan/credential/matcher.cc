// vectorscan runs all patterns in one pass, and reports each end of a match. A pattern with repetitions has many ends
// with the same beginning; only the first of them is passed on. If every match of a pattern has the same length, the
// beginning is computed from the end, because vectorscan would have to read the text backward to report it.
//
// What comes after a core is examined here (split.h). An agent can send many cores with the same long row after them,
// so the matcher remembers the last row of each set, and what it reads counts as work.
#include "scan/credential/matcher.h"

#include <hs/hs_runtime.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

namespace bottle::scan {

void Matcher::Free::operator()(hs_database* database) const { hs_free_database(database); }
void Matcher::Free::operator()(hs_scratch* scratch) const { hs_free_scratch(scratch); }
Matcher::Matcher(Matcher&&) noexcept = default;
Matcher& Matcher::operator=(Matcher&&) noexcept = default;
Matcher::~Matcher() = default;

// The database consists of a head, two tables and vectorscan's own bytes. The tables hold indexes into each other.
// They are checked once here, so that a match need not check them.
Result<Matcher> Matcher::load(std::string_view database) {
  DatabaseHead head;
  auto invalid = [] { return fail(Code::invalid, "the compiled rules are not valid"); };
  if (database.size() < sizeof head) return invalid();
  std::memcpy(&head, database.data(), sizeof head);
  database.remove_prefix(sizeof head);
  Matcher matcher;
  auto take = [&](auto& table, size_t count) {
    size_t size = sizeof table[0];
    if (database.size() / size < count) return false;
    table.resize(count);
    std::ranges::copy(database.substr(0, count * size), reinterpret_cast<char*>(table.data()));
    database.remove_prefix(count * size);
    return true;
  };
  if (head.magic != DatabaseHead::kMagic || !take(matcher.patterns_, head.patterns) ||
      !take(matcher.steps_, head.steps) || !take(matcher.sets_, head.sets) || !matcher.prepare())
    return invalid();
  if (database.size() < head.size) return invalid();
  auto read = [](std::string_view bytes, std::unique_ptr<hs_database, Free>& into) {
    hs_database* made = nullptr;
    if (hs_deserialize_database(bytes.data(), bytes.size(), &made) != HS_SUCCESS) return false;
    into.reset(made);
    return true;
  };
  std::string_view with_spaces = database.substr(head.size);
  if (!read(database.substr(0, head.size), matcher.database_)) return invalid();
  if (!with_spaces.empty() && !read(with_spaces, matcher.with_spaces_)) return invalid();
  // Both use the same working memory, which grows to what the larger one needs.
  hs_scratch* scratch = nullptr;
  for (hs_database* each : {matcher.database_.get(), matcher.with_spaces_.get()}) {
    if (each && hs_alloc_scratch(each, &scratch) != HS_SUCCESS) return fail(Code::limit, "no memory for scanning");
    (void)matcher.scratch_.release();
    matcher.scratch_.reset(scratch);
  }
  return matcher;
}

// Checks the tables, and makes those that depend on them.
bool Matcher::prepare() {
  for (const Step& each : steps_)
    if (each.set >= sets_.size()) return false;
  costs_.resize(patterns_.size());
  for (size_t i = patterns_.size(); i-- > 0;) {
    const PatternInfo& each = patterns_[i];
    if ((each.lead != PatternInfo::kNoSet && each.lead >= sets_.size()) || each.literal_size > each.literal.size() ||
        each.first_step > steps_.size() || each.steps > steps_.size() - each.first_step)
      return false;
    costs_[i] = each.is_probe ? kProbe : kCore;
    if (each.next == PatternInfo::kLast) continue;
    if (each.next <= i || each.next >= patterns_.size()) return false;
    const PatternInfo& next = patterns_[each.next];
    costs_[i] += costs_[each.next] - (next.is_probe ? kProbe : kCore) + (next.is_probe ? kProbe : kSameCore);
  }
  before_.resize(sets_.size());
  after_.resize(sets_.size());
  later_.resize(steps_.size());
  last_.resize(patterns_.size());
  return true;
}

struct Matcher::Walk {
  Matcher& matcher;
  std::string_view block;
  const std::function<void(const Match&)>& each;
  size_t& most;
};

// vectorscan calls this for each end of a match of a core. To return 0 means to go on, and anything else ends the scan.
int Matcher::on_match(unsigned id, unsigned long long from, unsigned long long to, unsigned, void* context) {
  auto& walk = *static_cast<Walk*>(context);
  Matcher& matcher = walk.matcher;
  if (walk.most < matcher.costs_[id]) return 1;
  walk.most -= matcher.costs_[id];
  for (uint32_t i = id; i != PatternInfo::kLast && !matcher.stopped_; i = matcher.patterns_[i].next)
    if (!matcher.patterns_[i].is_probe) matcher.examine(walk, i, from, to);
  return matcher.stopped_;
}

// Compares the characters before and after a core (split.h). Passes on only the first of several matches with the same
// beginning, and of several with the same end.
void Matcher::examine(const Walk& walk, uint32_t index, size_t from, size_t to) {
  const PatternInfo& pattern = patterns_[index];
  size_t begin = pattern.width ? to - pattern.width : from;
  read_ = 0;
  size_t end = pattern.steps ? steps_end(walk.block, pattern, to) : to;
  if (end != walk.block.npos && pattern.lead != PatternInfo::kNoSet) begin = lead_begin(walk.block, pattern, begin);
  walk.most -= std::min(walk.most, read_ * kRead);
  if (begin == walk.block.npos || end == walk.block.npos) return;
  Last last = std::exchange(last_[index], {scans_, begin, end});
  if (last.scan == scans_ && (last.begin == begin || last.end == end)) return;
  walk.each({pattern.rule, begin, end, pattern.is_name != 0});
}

bool Matcher::scan(std::string_view block, const std::function<void(const Match&)>& each, size_t& most,
                   Patterns patterns) {
  hs_database* database = patterns == Patterns::all ? database_.get() : with_spaces_.get();
  if (!database) return true;
  if (block.size() > std::numeric_limits<unsigned>::max()) return false;
  ++scans_;
  stopped_ = false;
  Walk walk{*this, block, each, most};
  auto result =
      hs_scan(database, block.data(), static_cast<unsigned>(block.size()), 0, scratch_.get(), on_match, &walk);
  return result == HS_SUCCESS || (result == HS_SCAN_TERMINATED && stopped_);
}

size_t Matcher::read_run(std::string_view block, Run& run, uint32_t set, size_t at, size_t limit) {
  if (run.scan != scans_ || at < run.begin || at > run.end) run = {scans_, at, at};
  size_t begin = run.end;
  while (run.end < limit && sets_[set].has(block[run.end])) ++run.end;
  read_ += run.end - begin;
  return run.end;
}

// Returns whether the characters of the step, or of one after it, may begin at `at`.
bool Matcher::may_go_on(std::string_view block, size_t step, size_t at) const {
  return steps_[step].least == 0 || (at < block.size() && sets_[steps_[step].set].has(block[at]));
}

size_t Matcher::steps_end(std::string_view block, const PatternInfo& pattern, size_t at, uint32_t done) {
  constexpr uint32_t kFew = 4;               // so many characters are read each time
  constexpr size_t kOfStep = 3, kOfTry = 3;  // what they take, in bytes of a row
  for (; done < pattern.steps; ++done) {
    size_t index = pattern.first_step + done;
    const Step& step = steps_[index];
    size_t left = block.size() - at, limit = at + std::min<size_t>(left, step.most);
    Run few, &run = step.most <= kFew ? few : done == 0 ? after_[step.set] : later_[index];
    size_t end = std::min(read_run(block, run, step.set, at, limit), limit);
    read_ += kOfStep;
    if (end - at < step.least) return block.npos;
    if (step.is_tried) {
      read_ += kOfTry * (end - at - step.least + 1);
      for (size_t next = at + step.least; next <= end; ++next)
        if (may_go_on(block, index + 1, next))
          if (size_t found = steps_end(block, pattern, next, done + 1); found != block.npos) return found;
      return block.npos;
    }
    at = end;
  }
  return at;
}

size_t Matcher::lead_begin(std::string_view block, const PatternInfo& pattern, size_t at) {
  const CharacterSet& set = sets_[pattern.lead];
  Run& run = before_[pattern.lead];
  if (run.scan == scans_ && run.begin <= at) {
    size_t begin = run.end;
    while (run.end < at && set.has(block[run.end])) ++run.end;
    read_ += run.end - begin;
  }
  if (run.scan != scans_ || at < run.begin || at > run.end) {
    run = {scans_, at, at};
    while (run.begin > 0 && set.has(block[run.begin - 1])) --run.begin;
    read_ += at - run.begin;
  }
  size_t length = at - run.begin;
  if (length < pattern.least) return block.npos;
  if (pattern.literal_size == 0) return at - std::min<size_t>(length, pattern.most);
  // The literal may overlap with the run, because its characters may be in the set. The first one is the leftmost
  // match.
  std::string_view literal(pattern.literal.data(), pattern.literal_size);
  size_t from = run.begin - std::min(run.begin, literal.size()), to = at - pattern.least;
  size_t found = block.substr(0, to).find(literal, from);
  read_ += std::min(found, to) - std::min(from, to);
  return found;
}

size_t Matcher::rules() const {
  size_t count = 0;
  for (const auto& pattern : patterns_) count = std::max<size_t>(count, pattern.rule + size_t{1});
  return count;
}

}  // namespace bottle::scan
