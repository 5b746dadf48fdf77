// vectorscan runs all patterns in one pass, and reports each end of a match. A pattern with repetitions has many ends
// with the same beginning; only the first of them is passed on. If every match of a pattern has the same length, the
// beginning is computed from the end, because vectorscan would have to read the text backward to report it.
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
  if (head.magic != DatabaseHead::kMagic || !take(matcher.patterns_, head.patterns) || !take(matcher.sets_, head.sets))
    return invalid();
  auto is_set = [&](uint32_t set) { return set == PatternInfo::kNoSet || set < head.sets; };
  for (const PatternInfo& each : matcher.patterns_)
    if (!is_set(each.lead) || !is_set(each.tail) || each.literal_size > each.literal.size()) return invalid();
  matcher.before_.resize(head.sets);
  matcher.after_.resize(head.sets);
  matcher.last_.resize(head.patterns);
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

struct Matcher::Walk {
  Matcher& matcher;
  std::string_view block;
  const std::function<void(const Match&)>& each;
  size_t& most;
};

// vectorscan calls this for each end of a match of a core. The function compares the characters before and after the
// core (split.h), and passes on only the first of several matches with the same beginning. To return 0 means to go
// on, and anything else ends the scan.
int Matcher::on_match(unsigned id, unsigned long long from, unsigned long long to, unsigned, void* context) {
  auto& walk = *static_cast<Walk*>(context);
  const PatternInfo& pattern = walk.matcher.patterns_[id];
  size_t cost = pattern.is_probe ? kProbe : 1;
  if (walk.most < cost) return 1;
  walk.most -= cost;
  if (pattern.is_probe) return 0;
  auto end = static_cast<size_t>(to), begin = pattern.width ? end - pattern.width : static_cast<size_t>(from);
  if (pattern.tail != PatternInfo::kNoSet) {
    if (!walk.matcher.has_tail(walk.block, pattern.tail, end, pattern.count)) return 0;
    end += pattern.count;
  }
  if (pattern.lead != PatternInfo::kNoSet) {
    begin = walk.matcher.lead_begin(walk.block, pattern, begin);
    if (begin == walk.block.npos) return 0;
  }
  Last& last = walk.matcher.last_[id];
  Last here{walk.matcher.scans_, begin};
  if (std::exchange(last, here) != here) walk.each({pattern.rule, begin, end, pattern.is_name != 0});
  return walk.matcher.stopped_;
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

bool Matcher::has_tail(std::string_view block, uint32_t set, size_t at, size_t count) {
  Run& run = after_[set];
  if (run.scan != scans_ || at < run.begin || at > run.end) run = {scans_, at, at};
  size_t limit = std::min(block.size(), at + count);
  while (run.end < limit && sets_[set].has(block[run.end])) ++run.end;
  return run.end >= at + count;
}

size_t Matcher::lead_begin(std::string_view block, const PatternInfo& pattern, size_t at) {
  const CharacterSet& set = sets_[pattern.lead];
  Run& run = before_[pattern.lead];
  if (run.scan == scans_ && run.begin <= at)
    while (run.end < at && set.has(block[run.end])) ++run.end;
  if (run.scan != scans_ || at < run.begin || at > run.end) {
    run = {scans_, at, at};
    while (run.begin > 0 && set.has(block[run.begin - 1])) --run.begin;
  }
  size_t length = at - run.begin;
  if (length < pattern.least) return block.npos;
  if (pattern.literal_size == 0) return at - std::min<size_t>(length, pattern.most);
  // The literal may overlap with the run, because its characters may be in the set. The first one is the leftmost
  // match.
  std::string_view literal(pattern.literal.data(), pattern.literal_size);
  size_t from = run.begin - std::min(run.begin, literal.size()), to = at - pattern.least;
  size_t found = block.substr(0, to).find(literal, from);
  return found;
}

size_t Matcher::rules() const {
  size_t count = 0;
  for (const auto& pattern : patterns_) count = std::max<size_t>(count, pattern.rule + size_t{1});
  return count;
}

}  // namespace bottle::scan
