// Input may arrive from a socket one byte at a time. The code keeps the bytes of a possible escape, and parses them
// again from the start with each further byte. They are at most 12, so parsing again is simpler than keeping a state
// for each position in each kind of escape. If the bytes turn out not to be an escape, those up to the next
// introducer are returned as they are, and the rest may begin another escape.
#include "scan/encoding/escapes.h"

#include <algorithm>
#include <bit>
#include <string_view>
#include <utility>

#include "scan/encoding/decode.h"
#include "scan/encoding/simd/survey_masks.h"

namespace bottle::scan {
void Unescaper::put(uint8_t byte, uint16_t length, Outs& outs) {
  if (size_ == 0 && byte != introducer(notation_)) return outs.add(byte, length);
  held_[size_] = byte;
  lengths_[size_++] = length;
  for (;;) {
    Step step = judge();
    if (step == Step::more) return;
    if (step == Step::whole) {
      emit(outs);
      size_ = 0;
      return;
    }
    // This is not an escape. Returns everything up to the next byte that can start one.
    uint8_t at = 0;
    do {
      outs.add(held_[at], lengths_[at]);
      ++at;
    } while (at < size_ && held_[at] != introducer(notation_));
    // What is left may begin another escape, so it is judged again.
    std::copy(held_.begin() + at, held_.begin() + size_, held_.begin());
    std::copy(lengths_.begin() + at, lengths_.begin() + size_, lengths_.begin());
    size_ = static_cast<uint8_t>(size_ - at);
    if (size_ == 0) return;
  }
}

Unescaper::Step Unescaper::judge() {
  if (size_ == 1) return Step::more;
  switch (notation_) {
    case Notation::percent:
      return percent();
    case Notation::backslash:
      return backslash();
    case Notation::html:
      return html();
  }
  return Step::not_one;
}

Unescaper::Step Unescaper::percent() {
  int high = hex_digit(held_[1]), low = size_ > 2 ? hex_digit(held_[2]) : 0;
  if (high < 0 || low < 0) return Step::not_one;
  if (size_ < 3) return Step::more;
  code_ = static_cast<uint32_t>(high * 16 + low);
  character_ = false;
  return Step::whole;
}

Unescaper::Step Unescaper::backslash() {
  constexpr std::string_view kNames = "\"\\/'bfnrt0", kBytes{"\"\\/'\b\f\n\r\t\0", 10};
  if (held_[1] == 'u') return unit();
  if (held_[1] == 'x') {
    for (uint8_t i = 2; i < size_; ++i)
      if (hex_digit(held_[i]) < 0) return Step::not_one;
    if (size_ < 4) return Step::more;
    code_ = static_cast<uint32_t>(hex_digit(held_[2]) * 16 + hex_digit(held_[3]));
    character_ = false;
    return Step::whole;
  }
  size_t at = kNames.find(static_cast<char>(held_[1]));
  if (at == kNames.npos) return Step::not_one;
  code_ = static_cast<unsigned char>(kBytes[at]);
  character_ = false;
  return Step::whole;
}

// Handles \uXXXX, and a surrogate pair as one character.
Unescaper::Step Unescaper::unit() {
  auto number = [&](uint8_t from) {
    uint32_t value = 0;
    for (uint8_t i = from; i < from + 4; ++i) value = value << 4 | static_cast<uint32_t>(hex_digit(held_[i]));
    return value;
  };
  for (uint8_t i = 2; i < std::min<uint8_t>(size_, 6); ++i)
    if (hex_digit(held_[i]) < 0) return Step::not_one;
  if (size_ < 6) return Step::more;
  code_ = number(2);
  character_ = true;
  // The first half of a pair means nothing without the second.
  if (code_ < 0xd800 || code_ > 0xdbff) return Step::whole;
  constexpr std::array<uint8_t, 2> kSecond = {'\\', 'u'};
  for (uint8_t i = 6; i < size_; ++i)
    if (i < 8 ? held_[i] != kSecond[i - 6u] : hex_digit(held_[i]) < 0) return Step::not_one;
  if (size_ < kLongest) return Step::more;
  uint32_t low = number(8);
  if (low < 0xdc00 || low > 0xdfff) return Step::not_one;
  code_ = 0x10000 + ((code_ - 0xd800) << 10) + (low - 0xdc00);
  return Step::whole;
}

Unescaper::Step Unescaper::html() {
  std::string_view text(reinterpret_cast<const char*>(held_.data()) + 1, size_ - 1u);
  constexpr size_t kMost = 9;  // long enough for "#x0010ffff"; longer entities are not decoded
  character_ = true;
  if (text[0] != '#') {
    struct Name {
      std::string_view text;
      char byte;
    };
    static constexpr Name kNames[] = {{"amp;", '&'}, {"lt;", '<'}, {"gt;", '>'}, {"quot;", '"'}, {"apos;", '\''}};
    for (const auto& name : kNames) {
      if (text == name.text) {
        code_ = static_cast<unsigned char>(name.byte);
        return Step::whole;
      }
      if (name.text.starts_with(text)) return Step::more;
    }
    return Step::not_one;
  }
  int base = text.size() > 1 && (text[1] == 'x' || text[1] == 'X') ? 16 : 10;
  size_t first = base == 16 ? 2 : 1;
  code_ = 0;
  for (size_t i = first; i < text.size(); ++i) {
    if (text[i] == ';') return i > first && code_ <= 0x10ffff ? Step::whole : Step::not_one;
    int value = hex_digit(static_cast<uint8_t>(text[i]));
    if (value < 0 || value >= base) return Step::not_one;
    code_ = code_ * static_cast<uint32_t>(base) + static_cast<uint32_t>(value);
  }
  return text.size() < kMost ? Step::more : Step::not_one;
}

void Unescaper::emit(Outs& outs) {
  uint16_t length = 0;
  for (uint8_t i = 0; i < size_; ++i) length = static_cast<uint16_t>(length + lengths_[i]);
  // The first byte has the length of the whole escape, so that the lengths of all bytes add up to the source.
  auto add = [&](uint32_t byte) { outs.add(static_cast<uint8_t>(byte), std::exchange(length, 0)); };
  if (!character_ || code_ < 0x80) {
    add(code_);
  } else if (code_ < 0x800) {
    add(0xc0 | code_ >> 6);
    add(0x80 | (code_ & 0x3f));
  } else if (code_ < 0x10000) {
    add(0xe0 | code_ >> 12);
    add(0x80 | (code_ >> 6 & 0x3f));
    add(0x80 | (code_ & 0x3f));
  } else {
    add(0xf0 | code_ >> 18);
    add(0x80 | (code_ >> 12 & 0x3f));
    add(0x80 | (code_ >> 6 & 0x3f));
    add(0x80 | (code_ & 0x3f));
  }
}

namespace {

bool is_hex_digit(char c) { return hex_digit(static_cast<uint8_t>(c)) >= 0; }
bool is_octal_digit(char c) { return c >= '0' && c <= '7'; }

// Appends the byte of the escape whose backslashes end at `at`, and returns where the next character begins.
size_t byte_step(std::string_view text, size_t at, std::string& out) {
  constexpr std::string_view kLetters = "nrtabfv", kBytes = "\n\r\t\a\b\f\v";
  bool is_hex = text[at] == 'x', is_octal = is_octal_digit(text[at]);
  if (!is_hex && !is_octal) {
    size_t letter = kLetters.find(text[at]);
    out += letter == kLetters.npos ? text[at] : kBytes[letter];
    return at + 1;
  }
  size_t begin = is_hex ? at + 1 : at, end = begin, limit = std::min(text.size(), begin + (is_hex ? 2 : 3));
  unsigned code = 0;
  while (end < limit && (is_hex ? is_hex_digit(text[end]) : is_octal_digit(text[end])))
    code = code * (is_hex ? 16 : 8) + static_cast<unsigned>(hex_digit(static_cast<uint8_t>(text[end++])));
  if (end > begin) out += static_cast<char>(code);
  return end;
}

// Returns how many backslashes begin an escape in the text: more than one if the text is itself a string in JSON. Text
// before the compressed data may have escapes of another depth, such as those of a regular expression, so the first
// escape of a byte that is not text decides.
size_t escape_depth(std::string_view text) {
  size_t depth = 0;
  std::string byte;
  for (size_t at = text.find('\\'); at != text.npos; at = text.find('\\', at)) {
    size_t end = std::min(text.find_first_not_of('\\', at), text.size()), count = end - at;
    bool is_octal = end < text.size() && is_octal_digit(text[end]);
    bool is_hex = end + 1 < text.size() && text[end] == 'x' && is_hex_digit(text[end + 1]);
    if (is_octal || is_hex) {
      byte.clear();
      byte_step(text, end, byte);
      auto code = static_cast<unsigned char>(byte[0]);
      if (code >= 0x80 || code == 0x1f || (code == 1 && at > 0 && text[at - 1] == 'x')) return count;
      if (depth == 0) depth = count;
    }
    at = end;
  }
  return std::max<size_t>(depth, 1);
}

// Returns where the literal that follows the one that ends with the quote at `at` has its first byte, or `at` if none
// follows. Compilers and Python put adjacent literals together. The text may be in a string of JSON.
size_t past_joint(std::string_view text, size_t at) {
  size_t next = at + 1;
  auto past_backslashes = [&] { return std::min(text.find_first_not_of('\\', next), text.size()); };
  for (;;) {
    size_t end = past_backslashes();
    if (end == text.size()) return at;
    if (!std::string_view(" \t\r\n").contains(text[end]) &&
        (end == next || !std::string_view("nrt").contains(text[end])))
      break;
    next = end + 1;
  }
  if (next == at + 1) return at;
  if (text[next] == 'b') ++next;
  next = past_backslashes();
  return next < text.size() && text[next] == text[at] ? next + 1 : at;
}

}  // namespace

std::vector<uint32_t> positions_of(char c, std::string_view text, size_t begin, size_t end) {
  std::vector<uint32_t> positions;
  std::array<uint8_t, kBlock> copy;
  for (size_t at = begin; at < end; at += kBlock) {
    uint64_t mask = mask_of(load_block(padded<0>(text, at, copy)),
                            [c](const Lanes& bytes) { return equal(bytes, static_cast<uint8_t>(c)); });
    if (end - at < kBlock) mask &= (uint64_t{1} << (end - at)) - 1;
    for (; mask; mask &= mask - 1)
      positions.push_back(static_cast<uint32_t>(at + static_cast<size_t>(std::countr_zero(mask))));
  }
  return positions;
}

bool may_be_packed_bytes(std::string_view unescaped) {
  constexpr std::string_view kZstd = "(\xc2\xb5/\xc3\xbd", kGzip = "\x1f\xc2\x8b";
  bool has_bytes = unescaped.find('\xc2') != unescaped.npos || unescaped.find('\xc3') != unescaped.npos;
  if (!has_bytes) return false;
  if (unescaped.find(kGzip) != unescaped.npos || unescaped.find(kZstd) != unescaped.npos) return true;
  // The second byte of zlib depends on the level of compression. Compressed bytes follow, the first of which may look
  // like text. Only "x^" is so common in formulas that some of the next ones must not.
  for (std::string_view second : {"\xc2\x9c", "\xc3\x9a", "\1", "^"})
    for (size_t at = unescaped.find(second); at != unescaped.npos; at = unescaped.find(second, at + 1)) {
      constexpr size_t kFollowing = 32;
      auto is_text = [](char c) { return (c >= ' ' && c < 0x7f) || c == '\t' || c == '\n' || c == '\r'; };
      bool goes_on = !std::ranges::all_of(unescaped.substr(at + second.size(), kFollowing), is_text);
      if (at > 0 && unescaped[at - 1] == 'x' && (goes_on || second != "^")) return true;
    }
  return false;
}

Decoded unescaped_bytes(std::string_view text, size_t begin, size_t end) {
  Decoded out;
  out.end = end;
  text = text.substr(0, end);
  size_t depth = escape_depth(text.substr(begin));
  for (size_t at = begin; at < end;) {
    out.anchor(at);
    size_t first = std::min(text.find_first_of("\\'\"", at), end);
    out.text.append(text, at, first - at);
    if (first < end && text[first] != '\\') {
      at = past_joint(text, first);
      if (at == first) out.text += text[at++];
      continue;
    }
    at = std::min(text.find_first_not_of('\\', first), end);
    size_t count = at - first;
    out.text.append(count / (2 * depth), '\\');
    if (at == end) break;
    if (count % (2 * depth) >= depth) at = byte_step(text, at, out.text);
  }
  return out;
}

}  // namespace bottle::scan
