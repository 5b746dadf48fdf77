// Takes the escapes of one notation out of a stream, byte by byte. Pure.
#pragma once

#include <array>
#include <cstdint>

namespace bottle::scan {

enum class Notation : uint8_t {
  percent,    // %2F
  backslash,  // \/ \n \u002f \ud83d\ude00 \x2f: JSON, and what programs in other languages write
  html,       // &amp; &#47; &#x2f;
};

// The byte with which an escape of the notation begins.
constexpr uint8_t introducer(Notation notation) {
  constexpr char kBytes[] = {'%', '\\', '&'};
  return static_cast<uint8_t>(kBytes[static_cast<int>(notation)]);
}

// 0 to 15, or -1.
constexpr int hex_digit(uint8_t c) {
  return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

class Unescaper {
 public:
  explicit Unescaper(Notation notation) : notation_(notation) {}

  struct Out {
    uint8_t byte;
    uint16_t length;  // of what it stands for; of the bytes that one escape becomes, only the first has a length
  };
  // The bytes that one more byte of input lets out: none while an escape may be unfinished. What turns out not to be an
  // escape comes out as it was.
  struct Outs {
    std::array<Out, 16> list;  // not initialized: most are never used
    uint8_t count = 0;
    void add(uint8_t byte, uint16_t length) { list[count++] = {byte, length}; }
    const Out* begin() const { return list.data(); }
    const Out* end() const { return list.data() + count; }
  };
  // `length`: what the byte counts for; more than 1 if another Unescaper made it.
  void put(uint8_t byte, uint16_t length, Outs& outs);

  bool unfinished() const { return size_ > 0; }  // in the middle of what may be an escape

 private:
  enum class Step { more, whole, not_one };
  Step judge();
  Step percent();
  Step backslash();
  Step html();
  Step unit();
  void emit(Outs& outs);

  static constexpr uint8_t kLongest = 12;  // \ud83d\ude00
  Notation notation_;
  uint8_t size_ = 0;
  std::array<uint8_t, kLongest> held_{};
  std::array<uint16_t, kLongest> lengths_{};
  uint32_t code_ = 0;       // what the whole escape stands for
  bool character_ = false;  // `code_` is a character, to be written in UTF-8; else a byte
};

}  // namespace bottle::scan
