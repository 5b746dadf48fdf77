// Everything that a terminal interprets begins with a control character. So this code does not search for escape
// sequences: it allows only certain characters, and a text without control characters cannot contain a sequence. Text
// that is not UTF-8 is escaped byte by byte, because terminals disagree about how many bytes a broken character has,
// and a control character could hide behind it. The backslash itself is not escaped, so that applying the function
// twice changes nothing. An escape can therefore be forged, which may mislead a person about a name but has no effect
// on the terminal.

#include "base/text/line.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <optional>

#include "base/text/words.h"

namespace bottle {
namespace {

struct Character {
  char32_t code = 0;
  size_t length = 0;  // in bytes
};

// Returns the first character, or nothing if the text does not begin with valid UTF-8 (RFC 3629, which excludes
// overlong forms, surrogates and everything beyond U+10FFFF).
std::optional<Character> character_at(std::string_view text) {
  auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  unsigned char first = byte(0);
  if (first < 0x80) return Character{first, 1};
  size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  // 0x80 to 0xbf continue a character, 0xc0 and 0xc1 begin only overlong forms, and 0xf5 to 0xff begin nothing.
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return std::nullopt;
  char32_t code = first & (0x7fu >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return std::nullopt;
    code = code << 6 | (byte(i) & 0x3fu);
  }
  // A character must not have a shorter form than the one that was used.
  static constexpr char32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < kLeast[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return std::nullopt;
  return Character{code, length};
}

// Returns whether a reader does not see the character, sees it in another place, or cannot know its meaning. Those are
// Unicode's Default_Ignorable_Code_Point and Bidi_Control (DerivedCoreProperties.txt, PropList.txt), line separators,
// private use and unassigned planes.
bool deceives(char32_t code) {
  struct Range {
    char32_t first, last;
  };
  static constexpr Range kRanges[] = {
      {0x00, 0x1f},       {0x7f, 0x9f},        {0xad, 0xad},        // controls, soft hyphen
      {0x34f, 0x34f},     {0x61c, 0x61c},                           // joiner, Arabic letter mark
      {0x115f, 0x1160},   {0x17b4, 0x17b5},    {0x180b, 0x180f},    // fillers, selectors
      {0x200b, 0x200f},   {0x2028, 0x202e},    {0x2060, 0x206f},    // zero width, separators, embeddings, isolates
      {0x3164, 0x3164},   {0xe000, 0xf8ff},                         // filler, private use
      {0xfdd0, 0xfdef},   {0xfe00, 0xfe0f},    {0xfeff, 0xfeff},    // noncharacters, selectors, byte order mark
      {0xffa0, 0xffa0},   {0xfff0, 0xfffc},    {0xfffe, 0xffff},    // filler, specials
      {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a},  {0x1fffe, 0x1ffff},  // shorthand and musical formats
      {0x2fffe, 0x2ffff}, {0x3fffe, 0x10ffff},                      // tags, private use, unused planes
  };
  return std::ranges::any_of(kRanges, [&](const Range& range) { return code >= range.first && code <= range.last; });
}

std::string escaped(char32_t code) {
  if (code == '\n') return "\\n";
  if (code == '\r') return "\\r";
  if (code == '\t') return "\\t";
  char text[16];
  std::snprintf(text, sizeof text, code < 0x80 ? "\\x%02x" : "\\u{%x}", static_cast<unsigned>(code));
  return text;
}

std::string escaped_byte(char c) {
  char text[8];
  std::snprintf(text, sizeof text, "\\x%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
  return text;
}

}  // namespace

// Goes through the text character by character, so that a cut never divides one.
std::string one_line(std::string_view text, size_t most) {
  constexpr std::string_view kMore = "…";
  std::string out;
  size_t fits = 0;  // the length up to which kMore still fits
  for (size_t at = 0; at < text.size();) {
    auto next = character_at(text.substr(at));
    if (!next) out += escaped_byte(text[at++]);
    else if (deceives(next->code)) out += escaped(next->code), at += next->length;
    else out += text.substr(at, next->length), at += next->length;
    // The text is cut before the first character that does not fit, with room for the ellipsis.
    if (out.size() > most) return out.substr(0, fits) + std::string(kMore);
    if (out.size() + kMore.size() <= most) fits = out.size();
  }
  return out;
}

// The lines go through LineReader, so carriage returns divide them, too, as in the output of programs that show
// progress.
std::string folded(std::string_view text, size_t most) {
  std::string all;
  LineReader reader;
  auto take = [&](const Line& line) { all += (all.empty() ? "" : " | ") + line.text(); };
  // Bounds the work: a program's output may have megabytes, and only the beginning is shown.
  text = text.substr(0, kLongestLine);
  reader.feed(text, take);
  reader.end(take);
  return one_line(all, most);
}

Line Line::styled(Style style, const Line& line) {
  Line out;
  static constexpr const char* kCodes[] = {"\033[1m", "\033[2m", "\033[31m", "\033[32m"};
  out.text_ = kCodes[static_cast<size_t>(style)] + line.text_ + "\033[0m";
  return out;
}

size_t Line::columns() const {
  size_t count = 0;
  for (size_t i = 0; i < text_.size(); ++i) {
    if (text_[i] == '\033') i = text_.find('m', i);  // skips a style, which only we add
    else if ((text_[i] & 0xc0) != 0x80) ++count;
  }
  return count;
}

// A line end at the end of the text does not begin another line.
std::vector<Line> lines_of(std::string_view text) {
  std::vector<Line> lines;
  for (std::string_view line : each_line(text)) lines.emplace_back(line);
  return lines;
}

std::string joined(const std::vector<Line>& lines) {
  std::string text;
  for (const Line& line : lines) text += line.text() + "\n";
  return text;
}

// Works on the text and not on a parsed value, so numbers and the order of keys stay as they are.
std::string ascii_json(std::string_view text) {
  std::string out;
  auto put = [&](unsigned unit) {
    char escape[8];
    std::snprintf(escape, sizeof escape, "\\u%04x", unit);
    out += escape;
  };
  for (size_t at = 0; at < text.size();) {
    auto next = character_at(text.substr(at));
    // U+FFFD stands for a byte that is not UTF-8, as in most decoders.
    auto code = static_cast<uint32_t>(next ? next->code : 0xfffd);
    at += next ? next->length : 1;
    if (code == '\n' || (code >= 0x20 && code < 0x7f)) out += static_cast<char>(code);
    else if (code < 0x10000) put(code);
    // JSON writes a character above U+FFFF as a pair of UTF-16 surrogates (RFC 8259, section 7).
    else put(0xd800 + ((code - 0x10000) >> 10)), put(0xdc00 + (code & 0x3ff));
  }
  return out;
}

}  // namespace bottle
