// Finds the patterns of rules in a block of bytes, in one pass (vectorscan). compiler/compile.h makes the
// database.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

struct hs_database;
struct hs_scratch;

namespace bottle::scan {

// Describes a match of a pattern in a block, before any check has judged it.
struct Match {
  uint32_t rule = 0;  // the index of the rule
  size_t begin = 0, end = 0;
  bool is_name = false;  // of a name, not of a credential
};

// The header of a compiled database. Tables of patterns, of steps and of sets, and vectorscan's serialized forms of all
// cores and of those for Patterns::with_spaces follow it. The latter is empty if there are none.
struct DatabaseHead {
  static constexpr uint32_t kMagic = 0x626f7436;
  uint32_t magic = kMagic, patterns = 0, steps = 0, sets = 0;
  uint32_t size = 0;  // of the serialized form of all patterns
};

// Holds a set of bytes, as one bit for each.
struct CharacterSet {
  std::array<uint64_t, 4> bits{};
  bool operator==(const CharacterSet&) const = default;
  constexpr bool has(char c) const {
    auto byte = static_cast<unsigned char>(c);
    return (bits[byte / 64] >> byte % 64 & 1) != 0;
  }
  // Adds the bytes from `first` to `last`.
  constexpr void add(char first, char last) {
    for (unsigned c = static_cast<unsigned char>(first); c <= static_cast<unsigned char>(last); ++c)
      bits[c / 64] |= uint64_t{1} << c % 64;
  }
};
inline constexpr uint32_t kNoLimit = UINT32_MAX;
// Describes what comes after a core: `least` to `most` characters of a set. See SplitPattern::Step.
struct Step {
  uint32_t set = 0, least = 0, most = 0;
  uint32_t is_tried = 0;
};
// Describes a pattern to the matcher.
struct PatternInfo {
  uint32_t rule = 0;
  uint32_t width = 0;  // the length of every match of the core, or the minimum if the beginning does not matter; 0 if
                       // vectorscan reports the beginning
  uint32_t is_name = 0;
  // vectorscan looks only for the core of the pattern. Directly before the core are `least` to `most` characters of a
  // set, perhaps with a literal before these. Directly after the core are the characters of the steps. See
  // compiler/split.h.
  static constexpr uint32_t kNoSet = UINT32_MAX;
  static constexpr size_t kLongestLiteral = 8;
  uint32_t lead = kNoSet, least = 0, most = 0;  // `lead` is the index of a set
  uint32_t first_step = 0, steps = 0;
  uint32_t literal_size = 0;
  std::array<char, kLongestLiteral> literal{};
  // A probe is the part of another pattern from which vectorscan begins to look for the rest of that pattern. Probes
  // are not reported as matches. They only count as work, because looking for the rest takes long even if nothing
  // matches.
  uint32_t is_probe = 0;
  // Patterns with the same core are a list. vectorscan looks for the core once, as number `i` if the first pattern of
  // the list is at the index `i`. `next` is the index of the next pattern, which is higher.
  static constexpr uint32_t kLast = UINT32_MAX;
  uint32_t next = kLast;
};

// Which patterns to look for. The compiler finds out from a pattern whether it can match a space (compiler/spaces.h).
enum class Patterns : uint8_t {
  all,
  with_spaces,  // only those of which a match, or what the rule's check looks at, may have a space
};

// Holds a loaded database and its working memory. Use it on one thread only, and do not scan with it in a callback of
// its own scan.
class Matcher {
 public:
  // Loads what compile() made on this kind of processor. Fails with Code::invalid if `database` is something else.
  static Result<Matcher> load(std::string_view database);
  Matcher(Matcher&&) noexcept;
  Matcher& operator=(Matcher&&) noexcept;
  ~Matcher();

  // Calls `each` for each match, in the order of the ends of their cores. If several matches of one pattern have the
  // same beginning, reports the shortest. Returns false if it failed, and matches may be missing. `each` must not
  // call scan(), but may call stop(), which ends the scan. `most` is the work that the scan may take, in the unit of
  // BlockResult::work, in addition to that for each byte of the block. The scan counts it down for each core, whether
  // it belongs to a match or not, for each probe, and for each byte that is read around a core. Without enough of it,
  // the scan ends and returns false.
  [[nodiscard]] bool scan(std::string_view block, const std::function<void(const Match&)>& each, size_t& most,
                          Patterns patterns = Patterns::all);
  [[nodiscard]] bool scan(std::string_view block, const std::function<void(const Match&)>& each,
                          Patterns patterns = Patterns::all) {
    size_t most = SIZE_MAX;
    return scan(block, each, most, patterns);
  }
  void stop() { stopped_ = true; }
  // The work of a core, of each further pattern with this core, of a probe, and of reading a byte.
  static constexpr size_t kCore = 41, kSameCore = 11, kProbe = 60, kRead = 1;

  size_t rules() const;  // one more than the highest index of a rule

 private:
  struct Free {
    void operator()(hs_database* database) const;
    void operator()(hs_scratch* scratch) const;
  };
  struct Walk;
  // Stands for consecutive characters of one set. The matcher remembers the last run of each set, so that it does not
  // look at the same characters again for each match.
  struct Run {
    uint64_t scan = 0;
    size_t begin = 0, end = 0;
  };
  // Moves the end of the run, of characters of the set, at most to `limit`. The run becomes one that has or begins at
  // `at`. Returns its end.
  size_t read_run(std::string_view block, Run& run, uint32_t set, size_t at, size_t limit);
  bool may_go_on(std::string_view block, size_t step, size_t at) const;
  // Returns where the steps of the pattern end that begin at `at`, of which the first `done` are already examined, or
  // npos.
  size_t steps_end(std::string_view block, const PatternInfo& pattern, size_t at, uint32_t done = 0);
  // Returns where the pattern's lead begins if it ends at `at`, or npos.
  size_t lead_begin(std::string_view block, const PatternInfo& pattern, size_t at);
  void examine(const Walk& walk, uint32_t index, size_t begin, size_t end);
  static int on_match(unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void* context);

  Matcher() = default;
  bool prepare();
  std::unique_ptr<hs_database, Free> database_, with_spaces_;  // the second is null if no pattern belongs to it
  std::unique_ptr<hs_scratch, Free> scratch_;
  std::vector<PatternInfo> patterns_;
  std::vector<Step> steps_;
  std::vector<CharacterSet> sets_;
  std::vector<size_t> costs_;        // by pattern, if it is the first one of its core
  std::vector<Run> before_, after_;  // by set: before a core, and directly after one
  std::vector<Run> later_;           // by step
  size_t read_ = 0;                  // how many bytes were read around cores
  // Remembers the last match of a pattern: in which scan it was, and where.
  struct Last {
    uint64_t scan = 0;
    size_t begin = 0, end = 0;
  };
  std::vector<Last> last_;
  uint64_t scans_ = 0;
  bool stopped_ = false;  // by stop(), during this scan
};

}  // namespace bottle::scan
