// Finds many literal strings in a stream, in one pass (Aho–Corasick). Pure.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bottle::policy {

class Matcher {
 public:
  Matcher() = default;
  // Empty patterns are ignored.
  explicit Matcher(const std::vector<std::string>& patterns);

  bool empty() const { return depth_.size() <= 1; }

  struct Match {
    size_t end = 0;     // offset in the fed bytes just after the match
    size_t length = 0;  // of the pattern; the match may have begun in earlier bytes
    int pattern = -1;   // index into the constructor's patterns; -1: none
  };
  // Advances `state` (0 at the start) over `bytes` from `from`, up to the first match or the end.
  Match next(uint32_t& state, std::string_view bytes, size_t from = 0) const;

  // How many of the last bytes could be the beginning of a match: what a filter must hold back.
  size_t depth(uint32_t state) const { return depth_.empty() ? 0 : depth_[state]; }

  bool contains(std::string_view bytes, int* pattern = nullptr) const;

 private:
  std::array<uint8_t, 256> class_{};  // bytes in no pattern share class 0: the table stays small
  uint32_t classes_ = 1;
  std::vector<uint32_t> next_;
  std::vector<uint32_t> depth_;
  std::vector<int> found_;  // pattern that ends in this state, or -1
  std::vector<size_t> length_;
};

// A stream filter over a Matcher that never lets a byte of a match out before it is known to be one.
class StreamScan {
 public:
  enum class Action { block, redact, warn };
  StreamScan() = default;
  StreamScan(const Matcher* matcher, Action action) : matcher_(matcher), action_(action) {}

  // Appends to `out` what may go on. Returns the pattern found (the first, in redact and warn), or -1.
  // After a find in block mode nothing more may be fed.
  int feed(std::string_view bytes, std::string& out);
  // The stream ended: what was held back is innocent.
  void finish(std::string& out);

 private:
  const Matcher* matcher_ = nullptr;
  Action action_ = Action::block;
  uint32_t state_ = 0;
  std::string held_;
};

}  // namespace bottle::policy
