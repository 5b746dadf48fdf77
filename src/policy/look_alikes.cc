// Refuses the characters that servers are known to convert. Normalizing the path instead would not be safe, because
// the server could convert the result once more, with different tables.
#include "policy/look_alikes.h"

#include <algorithm>
#include <cstdint>
#include <optional>

namespace bottle::policy {
namespace {

struct CodePoints {
  uint32_t first, last;
};

template <size_t N>
bool among(const CodePoints (&ranges)[N], uint32_t c) {
  return std::ranges::any_of(ranges, [&](const CodePoints& range) { return c >= range.first && c <= range.last; });
}

// Unicode's NFKC turns each of these into one of ./\%;?#, alone or with other characters. Entries without a comment
// are full-width and small forms.
constexpr CodePoints kDelimiters[] = {
    {0xa5, 0xa5},      // the yen sign is a backslash in Shift JIS
    {0x37e, 0x37e},    // the Greek question mark is a semicolon
    {0x2024, 0x2026},  // one, two and three dots
    {0x2044, 0x2044},  // the fraction slash, in best-fit tables
    {0x2047, 0x2049},  // double question marks
    {0x20a9, 0x20a9},  // the won sign is a backslash in EUC-KR
    {0x2100, 0x2101},  // "a/c", "a/s"
    {0x2105, 0x2106},  // "c/o", "c/u"
    {0x2215, 0x2216},  // the signs of division and set minus, in best-fit tables
    {0x29f5, 0x29f5},  // other backslashes and slashes
    {0x29f8, 0x29f9}, {0xfe14, 0xfe16}, {0xfe19, 0xfe19}, {0xfe30, 0xfe30}, {0xfe52, 0xfe52}, {0xfe54, 0xfe54},
    {0xfe56, 0xfe56}, {0xfe5f, 0xfe5f}, {0xfe68, 0xfe68}, {0xfe6a, 0xfe6a}, {0xff03, 0xff03}, {0xff05, 0xff05},
    {0xff0e, 0xff0f}, {0xff1b, 0xff1b}, {0xff1f, 0xff1f}, {0xff3c, 0xff3c},
};

// The line and paragraph separators end a line for some programs, as a line feed does.
constexpr CodePoints kControls[] = {{0, 0x1f}, {0x7f, 0x9f}, {0x2028, 0x2029}};

// Spaces and invisible characters (Unicode's White_Space and Default_Ignorable_Code_Point).
constexpr CodePoints kInvisible[] = {
    {0x20, 0x20},       {0xa0, 0xa0},       {0xad, 0xad},       {0x34f, 0x34f},   {0x61c, 0x61c},   {0x115f, 0x1160},
    {0x1680, 0x1680},   {0x17b4, 0x17b5},   {0x180b, 0x180f},   {0x2000, 0x200f}, {0x202a, 0x202f}, {0x205f, 0x206f},
    {0x3000, 0x3000},   {0x3164, 0x3164},   {0xfe00, 0xfe0f},   {0xfeff, 0xfeff}, {0xffa0, 0xffa0}, {0xfff0, 0xfffb},
    {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
};

// Removes one character from the front and returns it. Returns nothing if the text is not UTF-8 (RFC 3629).
std::optional<uint32_t> next_character(std::string_view& text) {
  auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  uint32_t first = byte(0), c = first;
  // 0xc0 and 0xc1 could begin only overlong forms, and 0xf5 and above would be beyond U+10FFFF.
  size_t size = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (size == 0) return std::nullopt;
  // The first byte of N has N ones and a zero before its own bits.
  if (size > 1) c = first & (0x7fu >> size);
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return std::nullopt;
    c = c << 6 | (byte(i) & 0x3f);
  }
  // Overlong forms and surrogates are refused, because a lenient decoder turns "%c0%af" or "%e0%80%af" into a slash.
  if ((size == 3 && (c < 0x800 || (c >= 0xd800 && c < 0xe000))) || (size == 4 && (c < 0x10000 || c > 0x10ffff)))
    return std::nullopt;
  text.remove_prefix(size);
  return c;
}

}  // namespace

const char* judge_characters(std::string_view text) {
  while (!text.empty()) {
    auto c = next_character(text);
    if (!c) return "the path is not UTF-8";
    if (among(kControls, *c)) return "the path has a control character";
    if (among(kDelimiters, *c)) return "the path has a character that some servers read as a delimiter";
  }
  return nullptr;
}

std::string without_the_invisible(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    std::string_view before = text;
    auto c = next_character(text);
    // Bytes that are not UTF-8 stay, because it is unknown which of them are invisible.
    if (!c) return out.append(before);
    if (!among(kInvisible, *c)) out.append(before.substr(0, before.size() - text.size()));
  }
  return out;
}

}  // namespace bottle::policy
