// vectorscan runs all patterns at once and reports each end of a match. A pattern with repetitions has many ends with
// the same beginning, of which only the first is passed on. The beginning is computed where every match has the same
// length, because vectorscan would have to read the text backward for it.
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

Result<Matcher> Matcher::load(std::string_view database) {
  DatabaseHead head;
  auto invalid = [] { return fail(Code::invalid, "the compiled rules are not valid"); };
  if (database.size() < sizeof head) return invalid();
  std::memcpy(&head, database.data(), sizeof head);
  database.remove_prefix(sizeof head);
  if (head.magic != DatabaseHead::kMagic || database.size() / sizeof(PatternInfo) < head.patterns) return invalid();
  Matcher matcher;
  matcher.patterns_.resize(head.patterns);
  std::memcpy(matcher.patterns_.data(), database.data(), head.patterns * sizeof(PatternInfo));
  database.remove_prefix(head.patterns * sizeof(PatternInfo));
  matcher.last_.resize(head.patterns);
  hs_database* made = nullptr;
  if (hs_deserialize_database(database.data(), database.size(), &made) != HS_SUCCESS) return invalid();
  matcher.database_.reset(made);
  hs_scratch* scratch = nullptr;
  if (hs_alloc_scratch(made, &scratch) != HS_SUCCESS) return fail(Code::limit, "no memory for scanning");
  matcher.scratch_.reset(scratch);
  return matcher;
}

struct Matcher::Walk {
  Matcher& matcher;
  const std::function<void(const Match&)>& each;
};

int Matcher::on_match(unsigned id, unsigned long long from, unsigned long long to, unsigned, void* context) {
  auto& walk = *static_cast<Walk*>(context);
  const PatternInfo& pattern = walk.matcher.patterns_[id];
  auto end = static_cast<size_t>(to), begin = pattern.width ? end - pattern.width : static_cast<size_t>(from);
  Last& last = walk.matcher.last_[id];
  Last here{walk.matcher.scans_, begin};
  if (std::exchange(last, here) != here) walk.each({pattern.rule, begin, end, pattern.is_name != 0});
  return 0;
}

bool Matcher::scan(std::string_view block, const std::function<void(const Match&)>& each) {
  if (block.size() > std::numeric_limits<unsigned>::max()) return false;
  ++scans_;
  Walk walk{*this, each};
  auto size = static_cast<unsigned>(block.size());
  return hs_scan(database_.get(), block.data(), size, 0, scratch_.get(), on_match, &walk) == HS_SUCCESS;
}

size_t Matcher::rules() const {
  size_t count = 0;
  for (const auto& pattern : patterns_) count = std::max<size_t>(count, pattern.rule + size_t{1});
  return count;
}

}  // namespace bottle::scan
