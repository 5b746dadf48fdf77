// Finds the patterns of a dictionary in a stream that arrives in pieces, both as they are and escaped. Pure.
//
// A stream has several readings: the stream as it is, the stream without its escapes, and that text without the
// escapes in it. A reading can find more than its source only if a pattern contains an escape. So a reading begins
// where an escape begins, with the state that its source has there, and ends as soon as no escape is part of its
// state. Between escapes, it costs nothing.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "scan/encoding/escapes.h"
#include "scan/known/dictionary.h"

namespace bottle::scan {

// Describes a pattern that was found in the stream. Its range includes the escapes.
struct Find {
  uint64_t begin = 0, end = 0;  // offsets in the original stream; an escape is never split
  uint32_t pattern = 0;         // the index in the dictionary
  bool whole = true;            // false if only the beginning of the pattern has arrived
};

// Searches one stream. It needs memory only for escapes.
class Finder {
 public:
  // The dictionary must outlive the finder.
  explicit Finder(const Dictionary* dictionary) : dictionary_(dictionary) {}

  // Scans the next bytes of the stream, and appends the finds. Reports all nested finds, and may report one range
  // more than once.
  void feed(std::string_view bytes, std::vector<Find>& finds);

  // Returns the dictionary that it searches for.
  const Dictionary& dictionary() const { return *dictionary_; }
  uint64_t fed() const { return fed_; }  // bytes of the stream so far
  // Returns the offset from which bytes may belong to a find that is not complete yet, or fed() if none may.
  uint64_t open_from() const;
  // Returns whether those bytes are so few, compared with the pattern, that they reveal nothing about it.
  bool barely_begun() const;
  // Returns a pattern of which more than half has arrived, or Dictionary::kNoPattern.
  uint32_t half_begun() const;

 private:
  static constexpr size_t kReadings = 5, kOfStream = 3;  // the first three are made from the original stream
  struct Escape {
    uint64_t index = 0;  // the index in this reading of the byte that the escape became
    int64_t extra = 0;   // how much longer this and the earlier escapes are than their results
  };
  struct Reading {
    explicit Reading(Notation notation) : unescaper(notation) {}
    Unescaper unescaper;
    Dictionary::State state = Dictionary::kRoot;
    uint64_t count = 0;           // the number of bytes of this reading
    uint64_t end = 0;             // where the last of these bytes ends in the stream
    uint64_t last_escape = 0;     // where the last escape ends in the stream
    std::vector<Escape> escapes;  // of at least as many last bytes as the depth of the state
    int64_t forgotten = 0;        // `extra` of the last escape before them
  };

  size_t plain(std::string_view bytes, size_t at, size_t limit, std::vector<Find>& finds);
  size_t common_escape(std::string_view rest);
  void step(uint8_t byte, std::vector<Find>& finds);
  bool active(size_t index) const { return active_ >> index & 1; }
  void begin(size_t index);
  void give(size_t index, uint8_t byte, uint16_t length, std::vector<Find>& finds);
  void take(size_t index, Unescaper::Out out, std::vector<Find>& finds);
  bool merges(size_t index) const;
  static void forget(Reading& reading, size_t deep);
  uint64_t begin_of_last(const Reading& reading, uint32_t bytes) const;  // the offset in the stream

  const Dictionary* dictionary_;
  uint64_t fed_ = 0;
  Dictionary::State state_ = Dictionary::kRoot;  // of the original stream
  uint32_t active_ = 0;                          // one bit per reading
  std::array<Reading, kReadings> readings_{Reading(Notation::percent), Reading(Notation::backslash),
                                           Reading(Notation::html),
                                           // The last two are made from the first and the second reading.
                                           Reading(Notation::percent), Reading(Notation::backslash)};
};

}  // namespace bottle::scan
