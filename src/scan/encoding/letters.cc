// Finds letters that look like ASCII but are not, and characters that are not visible.
//
// A model can be told to write a secret in full-width or mathematical letters, or in tag characters, which are not
// shown. The receiver then needs only a table like the one here to read it. Combining accents and the marks of
// Chinese and Japanese also have plain forms, but they are frequent in honest text, so they alone do not start a
// decoding.
#include <optional>

#include "scan/encoding/decode.h"

namespace bottle::scan {
namespace {

constexpr char32_t kHidden = 0;  // the character is left out

bool between(char32_t c, char32_t from, char32_t to) { return c >= from && c <= to; }

bool is_invisible(char32_t c) {
  return c == 0xad || c == 0x34f || c == 0x61c || c == 0x180e || between(c, 0x200b, 0x200f) ||
         between(c, 0x202a, 0x202e) || between(c, 0x2060, 0x2064) || between(c, 0x2066, 0x206f) || c == 0xfeff ||
         between(c, 0x300, 0x36f);
}

// Returns the ASCII character that `c` stands for, kHidden, or nothing if it stands for itself.
std::optional<char32_t> plain(char32_t c) {
  if (is_invisible(c)) return kHidden;
  if (between(c, 0xff01, 0xff5e)) return c - 0xff01 + '!';  // full-width
  if (between(c, 0x24b6, 0x24cf)) return c - 0x24b6 + 'A';  // in circles
  if (between(c, 0x24d0, 0x24e9)) return c - 0x24d0 + 'a';
  if (between(c, 0x1d400, 0x1d6a3)) {  // mathematical, in 13 styles
    char32_t letter = (c - 0x1d400) % 52;
    return letter < 26 ? 'A' + letter : 'a' + letter - 26;
  }
  if (between(c, 0x1d7ce, 0x1d7ff)) return '0' + (c - 0x1d7ce) % 10;
  if (between(c, 0xe0020, 0xe007e)) return c - 0xe0000;       // tags, which are invisible
  if (between(c, 0xe0100, 0xe01ef)) return c - 0xe0100 + 16;  // selectors of variants, which are invisible too
  return {};
}

struct Character {
  char32_t code = 0;
  size_t size = 0;
};

// Reads one character of UTF-8. Its size is 0 if there is none beyond ASCII.
Character read(std::string_view text, size_t at) {
  auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  unsigned first = byte(at);
  size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;
  // This is ASCII, or a byte that only continues a character.
  if (size == 1) return {};
  char32_t code = first & (0x7fu >> size);
  for (size_t i = 1; i < size; ++i) {
    if ((byte(at + i) & 0xc0) != 0x80) return {};
    code = code << 6 | (byte(at + i) & 0x3f);
  }
  return {code, size};
}

}  // namespace

size_t unusual_letter(std::string_view text, size_t at) {
  Character c = read(text, at);
  // In Chinese and Japanese, marks are full-width too. Accents occur in many languages.
  bool mark = between(c.code, 0xff01, 0xff0f) || between(c.code, 0xff1a, 0xff20) || between(c.code, 0x300, 0x36f);
  return c.size > 0 && !mark && plain(c.code) ? c.size : 0;
}

size_t letter_step(std::string_view text, size_t at, size_t, std::string& out) {
  Character c = static_cast<unsigned char>(text[at]) < 0x80 ? Character{} : read(text, at);
  auto other = c.size > 0 ? plain(c.code) : std::nullopt;
  if (!other) {
    out += text[at];
    return at + 1;
  }
  if (*other != kHidden) out += static_cast<char>(*other);
  return at + c.size;
}

Decoded plain_letters(std::string_view text, size_t begin, size_t end) {
  Decoded out;
  out.form = Decoded::Form::letters;
  out.end = end;
  out.anchor(begin);
  for (size_t at = begin; at < end;) {
    size_t next = letter_step(text, at, end, out.text);
    if (next > at + 1 || out.text.size() % Decoded::kStride == 0) out.anchor(next);
    at = next;
  }
  return out;
}

}  // namespace bottle::scan
