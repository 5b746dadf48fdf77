// Many texts, compiled so that one pass over a stream finds them all (Aho–Corasick). Pure and immutable once built.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "scan/forms.h"

namespace bottle::scan {

// One text that is looked for: a form of the needle it was made of.
struct Pattern {
  uint32_t needle = 0;  // the number that add() was given
  uint32_t length = 0;  // bytes
  Encoding encoding = Encoding::literal;
  uint8_t shift = 0;
};

class Dictionary {
 public:
  // Adds the forms of `text`, all to be reported as `needle`. A text that is there already stays the earlier needle's.
  // Empty texts are ignored.
  void add(uint32_t needle, std::string_view text);
  // Adds this one text, without its other forms.
  void add_exactly(uint32_t needle, std::string_view text);
  // Ends the adding. Until then nothing is found.
  void build();

  // Until build(): the texts of the patterns, by their index.
  const std::vector<std::string>& texts() const { return texts_; }

  bool empty() const { return patterns_.empty(); }
  size_t longest() const { return longest_; }  // bytes of the longest pattern
  const Pattern& pattern(uint32_t index) const { return patterns_[index]; }

  // The rest is for Finder. A state stands for the longest beginning of a pattern that the text so far ends with.
  using State = uint32_t;
  static constexpr State kRoot = 0;
  State next(State state, uint8_t byte) const {
    for (;;) {
      if (state == kRoot) return root_[byte];
      for (State to = nodes_[state].child; to; to = nodes_[to].sibling)
        if (nodes_[to].byte == byte) return to;
      state = nodes_[state].fail;
    }
  }
  bool begins_with(uint8_t byte) const { return root_[byte] != kRoot; }  // whether a pattern does
  State suffix(State state) const { return nodes_[state].fail; }         // of the next shorter beginning
  uint32_t depth(State state) const { return depth_[state]; }            // length of that beginning
  uint32_t open(State state) const { return open_[state]; }  // the same, of a pattern that may still be to come
  // Whether the state, and those of the shorter beginnings that the text ends with too, are no more than a quarter of
  // any pattern that could come of them.
  bool barely_begun(State state) const;
  // Whether patterns end in this state; `each` is called with their indexes.
  bool reports(State state) const { return nodes_[state].reports; }
  template <typename F>
  void each_end(State state, F each) const {
    for (; state != kRoot; state = shorter_[state])
      if (ends_[state] != kNone) each(ends_[state]);
  }

  // From the root state at `at`: the next place below `limit` where a pattern may begin, without looking at every byte.
  // Bytes closer to `limit` than the shortest pattern is long are left to next().
  size_t skip(std::string_view bytes, size_t at, size_t limit) const;

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  static constexpr unsigned kShiftBits = 14;
  struct Node {
    State child = 0, sibling = 0;  // edges are a list: all but the first few levels have one
    State fail = 0;                // the state of the longest proper suffix
    uint8_t byte = 0;              // on the edge that leads here
    bool reports = false;
  };

  void insert(const Form& form, uint32_t needle);
  State edge(State from, uint8_t byte) const;
  void make_shifts();

  std::vector<Pattern> patterns_;
  std::vector<std::string> texts_;  // until build()
  std::vector<Node> nodes_{Node{}};
  std::array<State, 256> root_{};
  std::vector<uint32_t> depth_{0};
  std::vector<uint32_t> shortest_{0};  // pattern that begins like this
  std::vector<uint32_t> open_{0};
  std::vector<uint32_t> ends_{kNone};  // the pattern that ends exactly here
  std::vector<State> shorter_;         // the next state on the way of suffixes in which a pattern ends
  std::vector<uint8_t> shift_;         // by a hash of three bytes: how far a pattern's beginning is off at least
  size_t window_ = 0;                  // bytes of a pattern's beginning that `shift_` knows; 0: do not skip
  size_t longest_ = 0;
};

}  // namespace bottle::scan
