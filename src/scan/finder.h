// Finds the patterns of a dictionary in a stream that comes in pieces, as they are and escaped. Pure.
//
// The stream has several readings: as it is, with its escapes taken out, and with the escapes in that taken out once
// more. A reading can find more than what it is made from only while an escape is part of a beginning of a pattern. So
// it begins where an escape begins, with the state that the one it is made from has there, and ends as soon as no
// escape is part of its state; between escapes it costs nothing.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "scan/dictionary.h"
#include "scan/escapes.h"

namespace bottle::scan {

struct Find {
  uint64_t begin = 0, end = 0;  // offsets in the stream as it is; an escape is never cut
  uint32_t pattern = 0;         // of the dictionary
};

class Finder {
 public:
  // The dictionary must outlive the finder.
  explicit Finder(const Dictionary* dictionary) : dictionary_(dictionary) {}

  // Looks through the next bytes of the stream. Appends what it finds, shorter ones within longer ones too; one place
  // may be found more than once.
  void feed(std::string_view bytes, std::vector<Find>& finds);

  const Dictionary& dictionary() const { return *dictionary_; }
  uint64_t fed() const { return fed_; }  // bytes of the stream so far
  // From where on bytes may belong to a find that is still to come; fed() if none may.
  uint64_t open_from() const;
  // Whether those are so few, beside what would be found, that they give nothing of it away.
  bool barely_begun() const;

 private:
  static constexpr size_t kReadings = 5, kOfStream = 3;  // the first three are made from the stream as it is
  struct Escape {
    uint64_t index = 0;  // of the byte that it became, in this reading
    int64_t extra = 0;   // how much longer it and those before it are than what they became
  };
  struct Reading {
    explicit Reading(Notation notation) : unescaper(notation) {}
    Unescaper unescaper;
    Dictionary::State state = Dictionary::kRoot;
    uint64_t count = 0;           // bytes of this reading
    uint64_t end = 0;             // where the last of them ends in the stream
    uint64_t last_escape = 0;     // where the last escape ends in the stream
    std::vector<Escape> escapes;  // of at least as many last bytes as the state is deep
    int64_t forgotten = 0;        // `extra` of the last one before them
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
  uint64_t begin_of_last(const Reading& reading, uint32_t bytes) const;  // in the stream

  const Dictionary* dictionary_;
  uint64_t fed_ = 0;
  Dictionary::State state_ = Dictionary::kRoot;  // of the stream as it is
  uint32_t active_ = 0;                          // a bit for each reading
  std::array<Reading, kReadings> readings_{Reading(Notation::percent), Reading(Notation::backslash),
                                           Reading(Notation::html),
                                           // made from the first and the second:
                                           Reading(Notation::percent), Reading(Notation::backslash)};
};

}  // namespace bottle::scan
