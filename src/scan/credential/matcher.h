// Finds the patterns of rules in a block of bytes, in one pass (vectorscan). compiler/compile.h makes the
// database.
#pragma once

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

// A match of a pattern in a block. Nothing has judged it yet.
struct Match {
  uint32_t rule = 0;  // the index of the rule
  size_t begin = 0, end = 0;
  bool is_name = false;  // of a name, not of a credential
};

// The beginning of a compiled database, which consists of a table of patterns and vectorscan's serialized form.
struct DatabaseHead {
  static constexpr uint32_t kMagic = 0x626f7432;
  uint32_t magic = kMagic, patterns = 0;
};
// What the matcher knows of a pattern. vectorscan numbers the patterns in this order.
struct PatternInfo {
  uint32_t rule = 0;
  uint32_t width = 0;  // the length of every match, or the minimum if the beginning does not matter; 0 if vectorscan
                       // reports the beginning
  uint32_t is_name = 0;
};

// A loaded database and its working memory. It is used on one thread, and a callback must not scan with the same
// matcher.
class Matcher {
 public:
  // Loads what compile() made on this kind of processor. Fails with Code::invalid if `database` is something else.
  static Result<Matcher> load(std::string_view database);
  Matcher(Matcher&&) noexcept;
  Matcher& operator=(Matcher&&) noexcept;
  ~Matcher();

  // Calls `each` for each match, in the order of their ends. Of several matches of one pattern with the same beginning,
  // it reports the shortest. Returns false if it failed, so that matches may be missing; `each` must not call scan().
  [[nodiscard]] bool scan(std::string_view block, const std::function<void(const Match&)>& each);

  size_t rules() const;  // one more than the highest index of a rule

 private:
  struct Free {
    void operator()(hs_database* database) const;
    void operator()(hs_scratch* scratch) const;
  };
  struct Walk;
  static int on_match(unsigned id, unsigned long long from, unsigned long long to, unsigned flags, void* context);

  Matcher() = default;
  std::unique_ptr<hs_database, Free> database_;
  std::unique_ptr<hs_scratch, Free> scratch_;
  std::vector<PatternInfo> patterns_;
  // The last match of a pattern: in which scan, and where it began.
  struct Last {
    uint64_t scan = 0;
    size_t begin = 0;
    bool operator==(const Last&) const = default;
  };
  std::vector<Last> last_;
  uint64_t scans_ = 0;
};

}  // namespace bottle::scan
