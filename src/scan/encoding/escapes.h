// Says where escapes are, and removes those of one notation from a stream, byte by byte. Pure.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "scan/encoding/simd/masks.h"

namespace bottle::scan {

// The notations of escapes. The values are used as indexes.
enum class Notation : uint8_t {
  percent,    // %2F
  backslash,  // \/ \n \u002f \ud83d\ude00 \x2f: JSON, and what programs in other languages write
  html,       // &amp; &#47; &#x2f;
};

// Returns the byte that starts an escape of the notation.
constexpr uint8_t introducer(Notation notation) {
  constexpr char kBytes[] = {'%', '\\', '&'};
  return static_cast<uint8_t>(kBytes[static_cast<int>(notation)]);
}

inline constexpr auto kHexDigits = [] {
  std::array<int8_t, 256> digits{};
  digits.fill(-1);
  for (size_t i = 0; i < 10; ++i) digits['0' + i] = static_cast<int8_t>(i);
  for (size_t i = 0; i < 6; ++i) digits['A' + i] = digits['a' + i] = static_cast<int8_t>(10 + i);
  return digits;
}();

// Returns 0 to 15, or -1 if `c` is not a hexadecimal digit.
constexpr int hex_digit(uint8_t c) { return kHexDigits[c]; }
// Returns whether the text has only hexadecimal digits and the characters that are usual between pairs of them.
constexpr bool has_only_pairs(std::string_view text) {
  constexpr std::string_view kBetween = "xX ,;:-+\\\t\r\n";
  for (char c : text)
    if (hex_digit(static_cast<uint8_t>(c)) < 0 && !kBetween.contains(c)) return false;
  return true;
}

// Returns whether the four hexadecimal digits at `digits`, or those in braces, are those of a character that
// plain_letters() changes, or of the first half of one.
inline bool is_unusual_letter(std::string_view text, size_t digits) {
  if (digits > text.size()) return false;
  text = text.substr(digits, 4);
  if (text.size() < 4 || text[0] == '{') return text.starts_with("{");
  auto digit = [&](size_t i) { return static_cast<uint8_t>(text[i] | 32); };
  uint8_t first = digit(0), second = digit(1), third = digit(2), last = digit(3);
  if (first == 'f') return (second == 'f' && third < '6') || (second == 'e' && third == 'f' && last == 'f');
  if (first == 'd') return (second == '8' && third == '3' && last == '5') || (second == 'b' && third == '4');
  bool mark = first == '2' && second == '0';
  return mark && (third == '6' || (third == '0' && within(last, 'b', 5)) || (third == '2' && within(last, 'a', 5)));
}

// The entities that stand for ASCII characters.
struct Entity {
  std::string_view text;
  char byte;
};
inline constexpr Entity kEntities[] = {{"amp;", '&'},   {"lt;", '<'},     {"gt;", '>'},     {"quot;", '"'},
                                       {"apos;", '\''}, {"sol;", '/'},    {"plus;", '+'},   {"equals;", '='},
                                       {"colon;", ':'}, {"lowbar;", '_'}, {"hyphen;", '-'}, {"period;", '.'}};
// Returns whether the name of one of them is at `at`.
inline bool begins_entity(std::string_view text, size_t at) {
  if (at + 2 >= text.size() || !within(static_cast<uint8_t>(text[at]), 'a', 26)) return false;
  text.remove_prefix(at);
  // No two of them have the same first two letters, so at most one is compared as a whole.
  return std::ranges::any_of(kEntities, [&](const Entity& each) {
    return each.text[0] == text[0] && each.text[1] == text[1] && text.starts_with(each.text);
  });
}

// Returns whether the percent sign, backslash or ampersand at `at` may begin an escape of a character that is worth
// decoding: printable and not a space, or one that plain_letters() changes.
inline bool begins_escape(std::string_view text, size_t at) {
  auto byte = [&](size_t i) { return i < text.size() ? static_cast<uint8_t>(text[i]) : uint8_t{1}; };
  uint8_t next = byte(at + 1), third = byte(at + 2);
  if (byte(at) == '%') return hex_digit(next) >= 0 && hex_digit(third) >= 0;
  if (byte(at) == '&') return next == '#' ? hex_digit(third) >= 0 || (third | 32) == 'x' : begins_entity(text, at + 1);
  if (next == 'u')
    return (third == '0' && byte(at + 3) == '0' && within(byte(at + 4), '2', 6)) || is_unusual_letter(text, at + 2);
  return next == 'U' || next == 'x' || next == '/' || within(next, '0', 8) ||
         (next == '\\' && (third == 'u' || third == 'x' || third == '/'));
}

// Reads one notation of one stream. It holds back at most 12 bytes, a pair of \u escapes.
class Unescaper {
 public:
  explicit Unescaper(Notation notation) : notation_(notation) {}

  // Describes a byte of the text without escapes.
  struct Out {
    uint8_t byte;
    uint16_t length;  // of the source of the byte; if one escape becomes several bytes, only the first has a length
  };
  // Holds the bytes that one more byte of input releases. It is empty while an escape may be unfinished. Text that
  // turns out not to be an escape is returned unchanged.
  struct Outs {
    std::array<Out, 16> list;  // not initialized, because most are never used
    uint8_t count = 0;
    // add() appends a byte; begin() and end() make this a range.
    void add(uint8_t byte, uint16_t length) { list[count++] = {byte, length}; }
    const Out* begin() const { return list.data(); }
    const Out* end() const { return list.data() + count; }
  };
  // `length` is the number of source bytes that the byte stands for. It exceeds 1 if another Unescaper made the byte.
  void put(uint8_t byte, uint16_t length, Outs& outs);

  bool unfinished() const { return size_ > 0; }  // in the middle of a possible escape

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
  uint32_t code_ = 0;       // the value of the whole escape
  bool character_ = false;  // `code_` is a character to be written in UTF-8, not a byte
};

}  // namespace bottle::scan
