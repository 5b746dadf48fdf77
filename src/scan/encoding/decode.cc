// Every decoder here accepts what any common reader would accept, because a strict one would let data pass that a
// tolerant receiver can read. So characters between the digits are skipped, escapes of escapes are undone in one
// step, and both alphabets of Base64 are read. No decoder can fail. Text that was not encoded decodes to nonsense,
// which the scan drops.
#include "scan/encoding/decode.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

#include "scan/encoding/escapes.h"
#include "scan/encoding/simd/masks.h"
#include "scan/encoding/simd/wide.h"

namespace bottle::scan {
namespace {

using Table = DigitTable;

constexpr Table base32_table() {
  Table table{};
  table.fill(-1);
  for (size_t i = 0; i < 26; ++i) table['A' + i] = table['a' + i] = static_cast<int8_t>(i);
  for (size_t i = 0; i < 6; ++i) table['2' + i] = static_cast<int8_t>(26 + i);
  return table;
}

constexpr Table kBase64 = kBase64Digits, kBase32 = base32_table();

uint8_t byte_at(std::string_view text, size_t at) { return static_cast<uint8_t>(text[at]); }

// Decodes digits of Base64 up to the first other byte, at most 64 of them. Writes kSpare bytes. Returns the number of
// digits.
constexpr size_t kSpare = 64;
#ifdef SCAN_HAS_WIDE
SCAN_WIDE size_t decode_some(std::string_view text, char* to) {
  uint64_t digits = Wide(text.data(), std::min(text.size(), kSpare), 0xff).decode_base64(to);
  return static_cast<size_t>(std::countr_one(digits));
}
#else
size_t decode_some(std::string_view, char*) { return 0; }
#endif

// Decodes digits of Base64 from `at` on into `out.text`, from `size` on, as long as many are left and nothing else is
// between them. Returns where it ended, which is after a whole number of bytes.
size_t decode_many(std::string_view text, size_t at, size_t end, Decoded& out, size_t& size, size_t& next_anchor) {
  constexpr size_t kFewest = 12;
  while (at + kFewest <= end) {
    bool is_anchor = size == next_anchor;
    size_t room = (is_anchor ? Decoded::kStride : next_anchor - size) / 3 * 4;
    size_t some = std::min(decode_some(text.substr(at, end - at), out.text.data() + size), room) / 4 * 4;
    if (some == 0) break;
    if (is_anchor) {
      out.add_anchor(size, at);
      next_anchor += Decoded::kStride;
    }
    size += some / 4 * 3;
    at += some;
  }
  return at;
}

// Decodes digits of `width` bits each as one sequence of bits.
Decoded bits_of(const Table& table, unsigned width, std::string_view text, size_t begin, size_t end, unsigned skip) {
  Decoded out;
  out.end = end;
  out.form = width == 6 ? Decoded::Form::base64 : Decoded::Form::base32;
  out.text.resize((end - begin) * width / 8 + 1 + kSpare);
  out.anchors.reserve(out.text.size() / Decoded::kStride + 1);
  char* to = out.text.data();
  size_t size = 0, next_anchor = 0;
  size_t previous = begin, before = begin;  // the last two digits
  uint32_t bits = 0;
  unsigned count = 0;
  for (size_t at = begin; at < end; ++at) {
    if (use_wide && width == 6 && skip == 0 && count == 0)
      if (size_t next = decode_many(text, at, end, out, size, next_anchor); next > at)
        at = next, previous = at - 1, before = at - 2;
    // Decodes four digits of Base64 at a time, while nothing else is between them.
    for (; width == 6 && skip == 0 && at + 4 <= end && count < 8; at += 4) {
      int all = table[byte_at(text, at)] << 18 | table[byte_at(text, at + 1)] << 12 |
                table[byte_at(text, at + 2)] << 6 | table[byte_at(text, at + 3)];
      bool is_anchor = size == next_anchor;
      if (all < 0 || (!is_anchor && size + 3 > next_anchor)) break;
      if (is_anchor) {
        out.add_anchor(size, count ? previous : at, count ? 6 - count : 0);
        next_anchor += Decoded::kStride;
      }
      previous = at + 3;
      uint64_t whole = uint64_t{bits} << 24 | static_cast<uint32_t>(all);
      to[size++] = static_cast<char>(whole >> (count + 16));
      to[size++] = static_cast<char>(whole >> (count + 8));
      to[size++] = static_cast<char>(whole >> count);
      bits = static_cast<uint32_t>(all);
    }
    if (at >= end) break;
    int8_t digit = table[byte_at(text, at)];
    if (digit < 0) [[unlikely]] {
      if (text[at] == '=') count = 0;  // padding: what follows is a separate text
      if (text[at] == '\\')            // an escaped line end, as "\n"
        while (at + 1 < end && text[at] == '\\') ++at;
      continue;
    }
    bits = bits << width | static_cast<uint32_t>(digit);
    count += width;
    if (skip) [[unlikely]] {
      unsigned less = std::min(skip, count);
      skip -= less;
      count -= less;
    }
    if (count >= 8) {
      if (size == next_anchor) {
        bool is_near = count <= 2 * width;
        out.add_anchor(size, is_near ? previous : before, (is_near ? 2 : 3) * width - count);
        next_anchor += Decoded::kStride;
      }
      count -= 8;
      to[size++] = static_cast<char>(bits >> count);
    }
    before = std::exchange(previous, at);
  }
  out.text.resize(size);
  return out;
}

// Appends a character in UTF-8.
void append_character(std::string& out, uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xc0 | code >> 6);
    out += static_cast<char>(0x80 | (code & 0x3f));
  } else {
    if (code >= 0x10000) out += static_cast<char>(0xf0 | (code >> 18 & 7));
    out += static_cast<char>(code < 0x10000 ? 0xe0 | (code >> 12 & 15) : 0x80 | (code >> 12 & 0x3f));
    out += static_cast<char>(0x80 | (code >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (code & 0x3f));
  }
}

// Reads up to `most` digits of the base from `at` on, and moves `at` past them. Returns -1 if there are none.
int64_t number(std::string_view text, size_t& at, size_t end, int base, size_t most) {
  int64_t value = -1;
  for (size_t limit = std::min(end, at + most); at < limit; ++at) {
    int digit = hex_digit(byte_at(text, at));
    if (digit < 0 || digit >= base) break;
    value = std::max<int64_t>(value, 0) * base + digit;
  }
  return value;
}

// Returns the character of a pair of surrogates if `code` is the first one, and moves `at` past the second one.
int64_t with_low_surrogate(int64_t code, std::string_view text, size_t& at, size_t end) {
  if (code < 0xd800 || code > 0xdbff) return code;
  size_t digits = at;
  while (digits < end && text[digits] == '\\') ++digits;
  if (digits == at || digits >= end || text[digits] != 'u') return code;
  int64_t low = number(text, ++digits, end, 16, 4);
  if (low < 0xdc00 || low > 0xdfff) return code;
  at = digits;
  return 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
}

// Returns the character that a backslash escape stands for, and moves `at` past it. Returns -1 if it is not an
// escape.
int64_t backslash(std::string_view text, size_t& at, size_t end) {
  size_t next = at + 1;
  while (next < end && text[next] == '\\') ++next;  // skips escapes of escapes of any depth
  if (next >= end) return -1;
  char kind = text[next];
  size_t digits = next + 1;
  int64_t code = -1;
  if (kind == 'u' && digits < end && text[digits] == '{') {
    code = number(text, ++digits, end, 16, 6);
    if (digits < end && text[digits] == '}') ++digits;
  } else if (kind == 'u' || kind == 'U') {
    code = number(text, digits, end, 16, kind == 'u' ? 4 : 8);
    code = with_low_surrogate(code, text, digits, end);
  } else if (kind == 'x') {
    code = number(text, digits, end, 16, 2);
  } else if (kind >= '0' && kind <= '7') {
    code = number(text, --digits, end, 8, 3);
  } else {
    constexpr std::string_view kSpaces = "nrtbf";
    bool space = kSpaces.find(kind) != kSpaces.npos, same = kind == '/' || kind == '"' || kind == '\'';
    if (space || same) code = space ? ' ' : byte_at(text, next);
  }
  if (code >= 0) at = digits;
  return code;
}

// Decodes the HTML entity at `at` and moves `at` behind it. Returns -1 if there is none. "&amp;amp;lt;" is escaped
// several times; repeated "amp;" are skipped together, so that the depth of escaping does not matter.
int64_t entity(std::string_view text, size_t& at, size_t end) {
  size_t next = at + 1;
  size_t bare = at;  // after the last "amp;"
  while (text.substr(next, 4) == "amp;") bare = next += 4;
  auto ampersand = [&]() -> int64_t { return bare > at ? (at = bare, '&') : -1; };
  if (next >= end) return ampersand();
  if (text[next] != '#') {
    for (const Entity& name : kEntities)
      if (text.substr(next, name.text.size()) == name.text) {
        at = next + name.text.size();
        return name.byte;
      }
    return ampersand();
  }
  bool hex = next + 1 < end && (text[next + 1] | 32) == 'x';
  size_t digits = next + (hex ? 2 : 1);
  int64_t code = number(text, digits, end, hex ? 16 : 10, 8);
  if (code < 0) return ampersand();
  at = digits < end && text[digits] == ';' ? digits + 1 : digits;
  return code;
}

}  // namespace

std::string base64(std::string_view run) {
  size_t end = 0;
  while (end < run.size() && kBase64[byte_at(run, end)] >= 0) ++end;
  return bits_of(kBase64, 6, run, 0, end, 0).text;
}

int base32_digit(char c) { return kBase32[static_cast<uint8_t>(c)]; }

Decoded base64_run(std::string_view text, size_t begin, size_t end, unsigned bits) {
  return bits_of(kBase64, 6, text, begin, end, bits);
}

Decoded base32_run(std::string_view text, size_t begin, size_t end, unsigned bits) {
  return bits_of(kBase32, 5, text, begin, end, bits);
}

void shift(std::string_view aligned, unsigned bits, std::string& to) {
  to.resize(aligned.size() - std::min<size_t>(aligned.size(), 1));
  const char* __restrict from = aligned.data();
  char* __restrict out = to.data();
  for (size_t i = 0, size = to.size(); i < size; ++i)
    out[i] = static_cast<char>(static_cast<unsigned char>(from[i]) << bits |
                               static_cast<unsigned char>(from[i + 1]) >> (8 - bits));
}

// Skips everything between the pairs of digits, including "0x". The loop writes into a buffer of the largest possible
// size and cuts it at the end, because this is faster than appending.
Decoded hex_run(std::string_view text, size_t begin, size_t end) {
  Decoded out;
  out.form = Decoded::Form::hex;
  out.end = end;
  out.text.resize((end - begin) / 2 + 1);
  char* to = out.text.data();
  size_t size = 0, next_anchor = 0;
  for (size_t at = begin; at + 1 < end;) {
    int high = hex_digit(byte_at(text, at)), low = hex_digit(byte_at(text, at + 1));
    if ((high | low) < 0) [[unlikely]] {
      at += high == 0 && (text[at + 1] | 32) == 'x' ? 2 : 1;
      continue;
    }
    if (size == next_anchor) {
      out.add_anchor(size, at);
      next_anchor += Decoded::kStride;
    }
    to[size++] = static_cast<char>(high * 16 + low);
    at += 2;
  }
  out.text.resize(size);
  return out;
}

void hex_digits(std::string_view digits, std::string& to) {
  to.resize((digits.size() + 1) / 2);
  char* out = to.data();
  size_t pairs = digits.size() / 2;
  for (size_t i = 0; i < pairs; ++i)
    out[i] = static_cast<char>(hex_digit(byte_at(digits, 2 * i)) * 16 + hex_digit(byte_at(digits, 2 * i + 1)));
  if (digits.size() % 2) out[pairs] = static_cast<char>(hex_digit(byte_at(digits, digits.size() - 1)) * 16);
}

size_t percent_step(std::string_view text, size_t at, size_t end, std::string& out) {
  size_t digits = at + 1;
  auto pair = [&](size_t i) {
    return i + 1 < end && hex_digit(byte_at(text, i)) >= 0 && hex_digit(byte_at(text, i + 1)) >= 0;
  };
  while (text[at] == '%' && text.substr(digits, 2) == "25" && pair(digits + 2)) digits += 2;
  if (text[at] == '%' && pair(digits)) {
    out += static_cast<char>(hex_digit(byte_at(text, digits)) * 16 + hex_digit(byte_at(text, digits + 1)));
    return digits + 2;
  }
  out += text[at];
  return at + 1;
}

Decoded percent(std::string_view text, size_t begin, size_t end, std::vector<uint32_t>* pluses) {
  Decoded out;
  out.form = Decoded::Form::percent;
  out.end = end;
  out.anchor(begin);
  out.text.reserve(end - begin);
  const std::vector<uint32_t> in_text = pluses ? positions_of('+', text, begin, end) : std::vector<uint32_t>();
  auto plus = in_text.begin();
  for (size_t at = begin; at < end;) {
    // This is the fast way for the common escape, which is neither escaped itself nor the last one.
    if (text[at] == '%' && at + 2 < end) {
      int high = hex_digit(byte_at(text, at + 1)), low = hex_digit(byte_at(text, at + 2)), byte = high * 16 + low;
      if ((high | low) >= 0 && byte != '%') {
        out.text += static_cast<char>(byte);
        at += 3;
        out.anchor(at);
        continue;
      }
    }
    if (text[at] != '%') {
      size_t next = std::min(end, text.find('%', at));
      out.anchor(at);
      for (; plus != in_text.end() && *plus < next; ++plus)
        pluses->push_back(static_cast<uint32_t>(out.text.size() + *plus - at));
      out.text.append(text, at, next - at);
      at = next;
      continue;
    }
    size_t next = percent_step(text, at, end, out.text);
    out.anchor(next);
    at = next;
  }
  return out;
}

// Servers may add blanks between the '=' and the line end.
size_t quoted_step(std::string_view text, size_t at, size_t end, std::string& out) {
  if (text[at] == '=' && at + 2 < end) {
    int high = hex_digit(byte_at(text, at + 1)), low = hex_digit(byte_at(text, at + 2));
    if ((high | low) >= 0) {
      out += static_cast<char>(high * 16 + low);
      return at + 3;
    }
  }
  if (text[at] == '=') {
    size_t past = at + 1;
    // Moves `past` over the character, or over its escape.
    auto skips = [&](char plain, char letter) {
      size_t next = std::min(text.find_first_not_of('\\', past), end);
      bool is_next = next < end && text[next] == (next > past ? letter : plain);
      if (is_next) past = next + 1;
      return is_next;
    };
    while (skips(' ', ' ') || skips('\t', 't')) continue;
    skips('\r', 'r');
    if (skips('\n', 'n')) return past;
  }
  out += text[at];
  return at + 1;
}

Decoded quoted_printable(std::string_view text) {
  Decoded out;
  out.form = Decoded::Form::quoted;
  out.end = text.size();
  out.text.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    out.anchor(at);
    size_t plain = std::min(text.substr(at, Decoded::kStride).find('='), Decoded::kStride);
    out.text.append(text, at, plain);
    at = std::min(at + plain, text.size());
    if (at < text.size() && text[at] == '=') at = quoted_step(text, at, text.size(), out.text);
  }
  return out;
}

size_t escape_step(std::string_view text, size_t at, size_t end, std::string& out) {
  int64_t code = -1;
  size_t next = at;
  if (text[at] == '\\') code = backslash(text, next, end);
  else if (text[at] == '&') code = entity(text, next, end);
  if (code < 0) {
    // Copies a row of backslashes at once. One by one, each of them would be read to the end of the row again.
    size_t past = text[at] == '\\' ? std::min(text.find_first_not_of('\\', at), end) : at + 1;
    out.append(text, at, past - at);
    return past;
  }
  append_character(out, static_cast<uint32_t>(code));
  return next;
}

Decoded unescaped(std::string_view text, size_t begin, size_t end) {
  Decoded out;
  out.form = Decoded::Form::escapes;
  out.end = end;
  out.anchor(begin);
  for (size_t at = begin; at < end;) {
    size_t next = at;
    while (next < end && text[next] != '\\' && text[next] != '&') ++next;
    out.anchor(at);  // what looks like escapes may be none for a long time
    out.text.append(text, at, next - at);
    if (next == end) break;
    at = escape_step(text, next, end, out.text);
    if (at > next + 1) out.anchor(at);
  }
  return out;
}

Decoded narrowed(std::string_view text, size_t begin, size_t end) {
  Decoded out;
  out.form = Decoded::Form::wide;
  out.end = end;
  out.text.resize(end - begin);
  char* to = out.text.data();
  size_t size = 0, next_anchor = 0;
  for (size_t at = begin; at < end; ++at) {
    if (text[at] == '\0') continue;
    if (size == next_anchor) {
      out.add_anchor(size, at);
      next_anchor += Decoded::kStride;
    }
    to[size++] = text[at];
  }
  out.text.resize(size);
  return out;
}

// Takes each number of up to three digits as a byte, and skips everything between them. A number above 255 becomes a
// byte that is not text, so that the numbers before and after it do not become one word.
Decoded decimal_run(std::string_view text, size_t begin, size_t end) {
  constexpr unsigned kLargest = 255, kNoByte = 0xff;
  Decoded out;
  out.form = Decoded::Form::decimals;
  out.end = end;
  out.text.resize((end - begin) / 2 + 1);
  char* to = out.text.data();
  size_t size = 0, next_anchor = 0;
  auto digit = [&](size_t at) { return static_cast<unsigned>(byte_at(text, at)) - '0'; };
  for (size_t at = begin; at < end;) {
    unsigned code = digit(at++);
    if (code > 9) continue;
    if (size == next_anchor) {
      out.add_anchor(size, at - 1);
      next_anchor += Decoded::kStride;
    }
    for (size_t limit = std::min(end, at + 2); at < limit && digit(at) <= 9; ++at) code = code * 10 + digit(at);
    to[size++] = static_cast<char>(code > kLargest ? kNoByte : code);
  }
  out.text.resize(size);
  return out;
}

Decoded binary_run(std::string_view text, size_t begin, size_t end) {
  Decoded out;
  out.form = Decoded::Form::binary;
  end = std::min(end, text.find_first_not_of("01", begin));
  if (end < begin + 64) return out;
  out.end = end;
  for (size_t at = begin; at + 8 <= end; at += 8) {
    unsigned byte = 0;
    for (size_t i = 0; i < 8; ++i) byte = byte << 1 | static_cast<unsigned>(text[at + i] - '0');
    out.anchor(at);
    out.text += static_cast<char>(byte);
  }
  return out;
}

Decoded without_line_ends(std::string_view text, size_t begin, size_t end) {
  constexpr size_t kPart = sizeof(Lanes);
  Decoded out;
  out.form = Decoded::Form::lines;
  out.end = end;
  out.text.resize(end - begin + kPart);
  out.anchors.reserve((end - begin) / Decoded::kStride + 1);
  char* to = out.text.data();
  size_t size = 0, next_anchor = 0;
  for (size_t at = begin; at < end;) {
    // This copies sixteen bytes at a time, of which those after the digits are overwritten later.
    Lanes part{};
    std::memcpy(&part, text.data() + at, std::min(kPart, text.size() - at));
    std::memcpy(to + size, &part, kPart);
    uint64_t digits = bits_of(within(part | 32, 'a', 26) | within(part, '0', 10) | equal(part, '+') | equal(part, '/') |
                              equal(part, '-') | equal(part, '_'));
    size_t count = std::min(static_cast<size_t>(std::countr_one(digits)), end - at);
    if (count > 0) {
      if (size >= next_anchor) {
        out.add_anchor(size, at);
        next_anchor = size + Decoded::kStride;
      }
      size += count;
      at += count;
      continue;
    }
    if (text[at] == '\\')
      while (at + 1 < end && text[at] == '\\') ++at;  // the letter of the escape
    ++at;
  }
  out.text.resize(size);
  return out;
}

}  // namespace bottle::scan
