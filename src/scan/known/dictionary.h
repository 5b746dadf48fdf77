// Compiles many texts so that one pass over a stream finds them all (Aho–Corasick). Pure. A built dictionary is
// immutable.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "scan/known/forms.h"

namespace bottle::scan {

// Describes a text to look for, which is one form of a needle.
struct Pattern {
  uint32_t needle = 0;  // the number that was passed to add()
  uint32_t length = 0;  // in bytes
  Encoding encoding = Encoding::literal;
  uint8_t shift = 0;
};

// Holds the compiled texts of one configuration. Fill and build it once; then any number of finders share it, even on
// several threads.
class Dictionary {
 public:
  // Adds the forms of `text`, and reports all of them as `needle`. A text that was already added keeps its earlier
  // needle. Ignores empty texts.
  void add(uint32_t needle, std::string_view text);
  // Adds only this text, without its other forms.
  void add_exactly(uint32_t needle, std::string_view text);
  // Finishes the dictionary. Before this call, nothing is found.
  void build();

  // Returns the texts of the patterns by their index. Valid only until build().
  const std::vector<std::string>& texts() const { return texts_; }

  // Return whether there is nothing to find, the length of the longest text, and what add() got for a pattern.
  bool empty() const { return patterns_.empty(); }
  size_t longest() const { return longest_; }  // in bytes
  const Pattern& pattern(uint32_t index) const { return patterns_[index]; }

  // The rest is for Finder. A state stands for the longest suffix of the text so far that is a prefix of a pattern.
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
  bool begins_with(uint8_t byte) const { return root_[byte] != kRoot; }  // whether a pattern begins with the byte
  State suffix(State state) const { return nodes_[state].fail; }         // the state of the next shorter prefix
  uint32_t depth(State state) const { return depth_[state]; }            // the length of the state's prefix
  uint32_t open(State state) const { return open_[state]; }  // the same for a pattern that may still be completed
  // Returns whether the prefix of the state, and each shorter prefix that the text also ends with, is at most a
  // quarter of any pattern that it could become.
  bool barely_begun(State state) const;
  // Returns a pattern whose beginning, of more than half and at least 8 bytes, is the end of the text so far. Returns
  // kNoPattern if there is none.
  static constexpr uint32_t kNoPattern = UINT32_MAX;
  uint32_t half_begun(State state) const;
  // Returns whether patterns end in this state. Calls `each` with their indexes.
  bool reports(State state) const { return nodes_[state].reports; }
  template <typename F>
  void each_end(State state, F each) const {
    for (; state != kRoot; state = shorter_[state])
      if (ends_[state] != kNone) each(ends_[state]);
  }

  // Returns the next position in [at, limit) where a pattern may begin, without looking at every byte. Call it only
  // in the root state. It may stop when fewer bytes are left than the shortest pattern has; next() handles those.
  size_t skip(std::string_view bytes, size_t at, size_t limit) const;

 private:
  static constexpr uint32_t kNone = kNoPattern;
  static constexpr unsigned kShiftBits = 14;
  struct Node {
    State child = 0, sibling = 0;  // the edges are a list; all states but those of the first few levels have one edge
    State fail = 0;                // the state of the longest proper suffix
    uint8_t byte = 0;              // on the edge to this node
    bool reports = false;
  };

  void insert(const Form& form, uint32_t needle);
  State edge(State from, uint8_t byte) const;
  void make_shifts();

  std::vector<Pattern> patterns_;
  std::vector<std::string> texts_;  // kept until build()
  std::vector<Node> nodes_{Node{}};
  std::array<State, 256> root_{};
  std::vector<uint32_t> depth_{0};
  std::vector<uint32_t> shortest_{0};  // the length of the shortest pattern with this prefix
  std::vector<uint32_t> some_{kNone};  // the first pattern with this prefix
  std::vector<uint32_t> open_{0};
  std::vector<uint32_t> ends_{kNone};  // the pattern that ends exactly at this state
  std::vector<State> shorter_;         // the next state on the chain of suffixes in which a pattern ends
  std::vector<uint8_t> shift_;  // indexed by a hash of three bytes: the minimum distance to the beginning of a pattern
  size_t window_ = 0;           // the length of the prefixes that `shift_` covers; 0 means do not skip
  size_t longest_ = 0;
};

}  // namespace bottle::scan
