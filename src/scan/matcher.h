// Finds the patterns of rules in a block of bytes, in one pass (vectorscan). The database is made by
// compiler/compile.h.
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

struct Match {
  uint32_t rule = 0;  // its index
  size_t begin = 0, end = 0;
};

// A compiled database as bytes: a table of patterns, then vectorscan's own serialized form.
struct DatabaseHead {
  static constexpr uint32_t kMagic = 0x626f7431;
  uint32_t magic = kMagic, patterns = 0;
};
struct PatternInfo {
  uint32_t rule = 0;
  uint32_t width = 0;  // bytes of every match, or the least, where the beginning does not matter; 0: vectorscan
                       // reports the beginning
};

class Matcher {
 public:
  // `database`: what compile() made, on this kind of processor. Code::invalid: it is something else.
  static Result<Matcher> load(std::string_view database);
  Matcher(Matcher&&) noexcept;
  Matcher& operator=(Matcher&&) noexcept;
  ~Matcher();

  // Calls `each` for each match, in the order of their ends. Of matches of one pattern with one beginning, the
  // shortest.
  void scan(std::string_view block, const std::function<void(const Match&)>& each);

  size_t rules() const;   // one more than the highest index of a rule
  size_t memory() const;  // bytes of database and scratch

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
  std::vector<size_t> last_begin_;  // of each pattern, plus one; 0: none yet
};

}  // namespace bottle::scan
