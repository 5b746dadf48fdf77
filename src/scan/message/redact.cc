// A marker must not change a message's length, because a Content-Length may have been sent already, or its syntax,
// because a server would refuse the message. A marker is therefore as long as what it replaces, begins and ends
// between whole characters and escapes, and has only characters that need no escape. Where no text fits, such as
// across several JSON strings or in a number, letters become "x" and digits "9".
//
// Base64 is changed bit by bit, so that it decodes to the marker. In the digits at both ends, the bits that belong to
// other bytes stay as they are. The same finding always gets the same marker, which keeps the provider's cache of a
// conversation.
#include "scan/message/redact.h"

#include <algorithm>
#include <optional>

#include "scan/encoding/decode.h"
#include "scan/encoding/escapes.h"

namespace bottle::scan {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c | 32) >= 'a' && (c | 32) <= 'z'; }
bool continues(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }
bool is_hex(char c) { return hex_digit(static_cast<uint8_t>(c)) >= 0; }

// Generates the text of a marker, followed by any amount of filler.
class Marker {
 public:
  // `size` is the longest that the marker may be.
  Marker(std::string_view name, size_t size, MarkerStyle style) : fill_(style == MarkerStyle::token ? '-' : '*') {
    text_ = style == MarkerStyle::token ? "redacted-" : "[redacted: ";
    // A name comes from the operator's files and may have any characters.
    for (char c : name) text_ += is_digit(c) || is_letter(c) || std::string_view("-_.:/ ").contains(c) ? c : '_';
    if (style != MarkerStyle::token) text_ += ']';
    // A part of a marker would say nothing, so only filler remains.
    if (text_.size() > size) text_.clear();
  }
  char at(size_t i) const { return i < text_.size() ? text_[i] : fill_; }

 private:
  std::string text_;
  char fill_;
};

struct Escape {
  size_t begin = 0, end = 0;  // `end` is beyond the text if the text ends within the escape
  unsigned code = 0;          // of \uXXXX, or 0
  bool is_first() const { return code >= 0xd800 && code < 0xdc00; }
  bool is_second() const { return code >= 0xdc00 && code < 0xe000; }
};

// Returns the escape at the backslash.
Escape escape_at(std::string_view text, size_t begin) {
  if (begin + 1 >= text.size() || text[begin + 1] != 'u') return {begin, begin + 2};
  Escape out{begin, begin + 6};
  for (size_t at = begin + 2; at < out.end && at < text.size(); ++at) {
    if (!is_hex(text[at])) return {begin, begin + 2};
    out.code = out.code << 4 | static_cast<unsigned>(hex_digit(static_cast<uint8_t>(text[at])));
  }
  if (out.end > text.size()) out.code = 0;
  return out;
}

// Returns the escape that contains the boundary before `at`, if there is one.
std::optional<Escape> escape_around(std::string_view text, size_t at) {
  constexpr size_t kLongest = 6;
  for (size_t back = 1; back < kLongest && back <= at; ++back) {
    if (text[at - back] != '\\') continue;
    size_t run = at - back;
    while (run > 0 && text[run - 1] == '\\') --run;
    if ((at - back - run) % 2) return {};  // the second backslash of an escaped one
    Escape escape = escape_at(text, at - back);
    if (escape.end > at) return escape;
    return {};
  }
  return {};
}

// Returns the pair of escapes that contains the boundary before `at`, as the pair's first and second one.
std::optional<Escape> pair_around(std::string_view text, size_t at) {
  constexpr size_t kSize = 6;
  if (at < kSize || at + 1 >= text.size() || text[at] != '\\') return {};
  Escape second = escape_at(text, at), first = escape_at(text, at - kSize);
  if (text[at - kSize] != '\\' || !first.is_first() || !second.is_second()) return {};
  if (escape_around(text, at - kSize)) return {};
  return Escape{first.begin, second.end};
}

// Returns a boundary near `at` that is in no character, escape or pair of escapes: the one before, or the one after.
size_t boundary(std::string_view text, size_t at, bool before) {
  if (at >= text.size()) return text.size();
  constexpr size_t kMost = 3;  // bytes of a character that continue it
  for (size_t i = 0; i < kMost && at > 0 && at < text.size() && continues(text[at]); ++i) before ? --at : ++at;
  if (auto escape = escape_around(text, at)) at = before ? escape->begin : std::min(escape->end, text.size());
  if (auto pair = pair_around(text, at)) at = before ? pair->begin : std::min(pair->end, text.size());
  return at;
}

// Returns whether the text has an unescaped quote, and therefore parts of more than one JSON string.
bool has_quote(std::string_view text) {
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '"') return true;
    if (text[at] == '\\') ++at;
  }
  return false;
}

// Returns whether the bytes may be numbers of JSON outside of strings, judged by what is beside them.
bool may_be_numbers(std::string_view text, size_t begin, size_t end) {
  std::string_view bytes = text.substr(begin, end - begin);
  if (bytes.find_first_not_of("0123456789+-.eE,[]{}: \t\r\n") != bytes.npos) return false;
  if (bytes.find_first_of(",[]{}") != bytes.npos) return true;
  size_t before = begin == 0 ? text.npos : text.find_last_not_of(" \t\r\n-.", begin - 1);
  size_t after = text.find_first_not_of(" \t\r\n.", end);
  bool begins = before == text.npos || std::string_view(":[,").contains(text[before]) || is_digit(text[before]);
  return begins && (after == text.npos || std::string_view(",]}eE").contains(text[after]) || is_digit(text[after]));
}

// Writes "x" for each letter and "9" for each digit, except in the names and exponents of JSON, which numbers outside
// of strings may have.
void blank_out(std::string& text, size_t begin, size_t end) {
  size_t exponent = std::string::npos;  // where the digits of an exponent begin
  for (size_t at = begin; at < end;) {
    char c = text[at];
    if (c == '\\') {
      Escape escape = escape_at(text, at);
      if (escape.end <= end && escape.code) text.replace(at + 2, 4, "002a");
      at = escape.end;
    } else if (is_letter(c)) {
      size_t next = at + 1;
      while (next < end && is_letter(text[next])) ++next;
      std::string_view word = std::string_view(text).substr(at, next - at);
      size_t digits = next < end && (text[next] == '-' || text[next] == '+') ? next + 1 : next;
      bool scales = (word == "e" || word == "E") && at > 0 && is_digit(text[at - 1]) && digits < text.size() &&
                    is_digit(text[digits]);
      if (scales) exponent = digits;
      else if (word != "true" && word != "false" && word != "null") std::fill_n(text.begin() + at, next - at, 'x');
      at = next;
    } else if (is_digit(c)) {
      text[at] = exponent == at ? '0' : '9';
      if (exponent == at) ++exponent;
      ++at;
    } else {
      if (static_cast<unsigned char>(c) >= 0x80) text[at] = 'x';
      ++at;
    }
  }
}

// Writes the marker in Base64. The first digit has `skipped` bits of what is before it.
bool redact_base64(std::string& text, const Place& place, const Finding& finding, MarkerStyle style) {
  static constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  auto each_digit = [&](auto digit) {
    for (size_t at = place.begin; at < place.end && text[at] != '='; ++at) {
      if (text[at] == '\\') {
        while (at + 1 < place.end && text[at] == '\\') ++at;  // the letter of an escaped line end
      } else if (base64_digit(text[at]) >= 0) {
        digit(at);
      }
    }
  };
  size_t count = 0, bit = 0;
  each_digit([&](size_t) { ++count; });
  size_t bits = count * 6 - std::min<size_t>(finding.skipped, count * 6);
  if (!place.is_begun) bits = bits / 8 * 8;  // otherwise, more bits of the last byte follow
  // If the end has not arrived, it is not known yet how long the marker may become.
  Marker marker(finding.name, place.is_begun || place.is_marked ? SIZE_MAX : bits / 8, style);
  each_digit([&](size_t at) {
    auto value = static_cast<unsigned>(base64_digit(text[at]));
    for (unsigned i = 0; i < 6; ++i, ++bit) {
      if (bit < finding.skipped || bit - finding.skipped >= bits) continue;
      size_t of_marker = bit - finding.skipped;
      unsigned wanted = static_cast<unsigned char>(marker.at(of_marker / 8)) >> (7 - of_marker % 8) & 1u;
      value = (value & ~(32u >> i)) | (wanted ? 32u >> i : 0);
    }
    if (at < place.sent || value == static_cast<unsigned>(base64_digit(text[at]))) return;
    text[at] = kDigits[value];
  });
  return true;
}

// Returns whether the finding is in compressed bytes that are in Base64.
bool is_packed_base64(std::string_view bytes, const Finding& finding) {
  bool packed = std::ranges::any_of(std::to_array<std::string_view>({"gzip", "deflate", "zstd", "brotli"}),
                                    [&](std::string_view each) { return finding.encoding.ends_with(each); });
  auto is_other = [](char c) { return base64_digit(c) < 0 && !std::string_view("=\\\r\n ").contains(c); };
  return packed && std::ranges::none_of(bytes, is_other);
}

}  // namespace

std::string redaction(std::string_view name, size_t size, MarkerStyle style) {
  Marker marker(name, size, style);
  std::string text;
  for (size_t i = 0; i < size; ++i) text += marker.at(i);
  return text;
}

bool redact(std::string& text, Place place, const Finding& finding, MarkerStyle style) {
  if (place.end <= std::max(place.begin, place.sent)) return false;
  std::string_view bytes = std::string_view(text).substr(place.begin, place.end - place.begin);
  if (finding.is_base64 || is_packed_base64(bytes, finding)) return redact_base64(text, place, finding, style);
  bool pieces = finding.encoding.ends_with("pieces") || finding.encoding.ends_with("decimal");
  // A text may have JSON in it, such as the lines of a file that is uploaded in a form. A marker has letters, brackets
  // and spaces, which cannot be in a number or across the quotes of several strings.
  bool blanks =
      pieces || has_quote(bytes) || (style != MarkerStyle::token && may_be_numbers(text, place.begin, place.end));
  size_t begin = boundary(text, place.begin, true), end = boundary(text, place.end, true);
  // If the beginning of an escape or a character was sent, its rest follows unchanged.
  size_t from = std::max(begin, place.sent);
  if (from > begin) from = boundary(text, from, false);
  if (!place.is_marked) begin = from;
  if (end <= from) end = boundary(text, place.end, false);
  if (end <= from) return false;
  if (blanks) return blank_out(text, from, end), true;
  Marker marker(finding.name, place.is_begun || place.is_marked ? SIZE_MAX : end - begin, style);
  for (size_t at = from; at < end; ++at) text[at] = marker.at(at - begin);
  return true;
}

size_t end_of_whole(std::string_view text) {
  constexpr size_t kLongest = 12;  // \ud83d\ude00
  size_t end = text.size(), lead = end;
  while (lead > 0 && end - lead < 3 && continues(text[lead - 1])) --lead;
  if (lead > 0 && static_cast<unsigned char>(text[lead - 1]) >= 0xc0) {
    auto first = static_cast<unsigned char>(text[lead - 1]);
    size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (lead - 1 + size > end) end = lead - 1;
  }
  for (size_t at = end - std::min(end, kLongest); at < end; ++at) {
    if (text[at] == '%' && at + 3 > end) return at;
    if (text[at] != '\\' || escape_around(text, at)) continue;
    Escape escape = escape_at(text, at);
    if (escape.end > end || (escape.end == end && escape.is_first())) return at;
    if (!escape.is_first() || escape.end >= end || text[escape.end] != '\\') continue;
    if (escape.end + 1 >= end || (text[escape.end + 1] == 'u' && escape.end + 6 > end)) return at;
  }
  return end;
}

}  // namespace bottle::scan
