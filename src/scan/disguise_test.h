// Contains the catalog of the tests: the rules that the program carries, and one known secret. Disguises text, and
// lists what the detector finds.
#pragma once

#include <algorithm>
#include <cstdio>

#include "scan/detector.h"

namespace bottle::scan {

inline constexpr std::string_view kKnown = "q7Hs82-kLmz0_PwX3rTn5v";

// Makes the catalog at the first call. All tests of a program share it.
inline Catalog& catalog() {
  static Catalog made = [] {
    auto catalog = *Catalog::builtin();
    catalog.add_known("deploy", kKnown);
    catalog.build();
    return catalog;
  }();
  return made;
}

// Returns "name (encoding)" of each finding, separated by commas.
inline std::string found(std::string_view text) {
  std::string out;
  for (const auto& each : Detector(&catalog()).scan(text).findings)
    out += (out.empty() ? "" : ", ") + each.name + (each.encoding.empty() ? "" : " (" + each.encoding + ")");
  return out;
}

// Returns Base64, or Base64url, with or without padding.
inline std::string base64(std::string_view bytes, bool url = false, bool pad = true) {
  std::string_view digits = url ? "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
                                : "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t bit = 0; bit < bytes.size() * 8; bit += 6) {
    unsigned value = 0;
    for (size_t i = bit; i < bit + 6; ++i)
      value = value << 1 | (i / 8 < bytes.size() ? static_cast<unsigned char>(bytes[i / 8]) >> (7 - i % 8) & 1u : 0u);
    out += digits[value];
  }
  while (pad && out.size() % 4) out += '=';
  return out;
}

// Returns Base32 without padding.
inline std::string base32(std::string_view bytes) {
  std::string out;
  for (size_t bit = 0; bit < bytes.size() * 8; bit += 5) {
    unsigned value = 0;
    for (size_t i = bit; i < bit + 5; ++i)
      value = value << 1 | (i / 8 < bytes.size() ? static_cast<unsigned char>(bytes[i / 8]) >> (7 - i % 8) & 1u : 0u);
    out += "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[value];
  }
  return out;
}

// Returns the characters in this format, with `between` between them.
inline std::string each(std::string_view text, const char* format, std::string_view between = "") {
  std::string out;
  char buffer[24];
  for (unsigned char c : text) {
    auto size = static_cast<size_t>(snprintf(buffer, sizeof buffer, format, c));
    out.append(out.empty() ? "" : between).append(buffer, size);
  }
  return out;
}

// Returns ASCII text as UTF-16.
inline std::string utf16(std::string_view text, bool big) {
  std::string out;
  for (char c : text) out += big ? std::string{'\0', c} : std::string{c, '\0'};
  return out;
}

// Returns the text in lines of that width, each with this end.
inline std::string lines(std::string_view text, size_t width, std::string_view end) {
  std::string out;
  for (; !text.empty(); text.remove_prefix(std::min(width, text.size())))
    out += std::string(text.substr(0, width)) + std::string(end);
  return out;
}

// Returns eight digits 0 or 1 for each character.
inline std::string each_bit(std::string_view text) {
  std::string out;
  for (unsigned char c : text)
    for (int bit = 7; bit >= 0; --bit) out += static_cast<char>('0' + (c >> bit & 1));
  return out;
}

// Returns the text with the mark after each character.
inline std::string between(std::string_view text, std::string_view mark) {
  std::string out;
  for (char c : text) out.append(1, c).append(mark);
  return out;
}

// Returns ASCII text as full-width characters.
inline std::string full_width(std::string_view text) {
  std::string out;
  for (char c : text)
    if (c > ' ') out += {'\xef', static_cast<char>(0xbc + (c >= 0x60)), static_cast<char>(0x80 | ((c - 0x20) & 0x3f))};
    else out += c;
  return out;
}

// Returns ASCII text as tag characters, which are not visible.
inline std::string tagged(std::string_view text) {
  std::string out;
  for (char c : text)
    if (c >= ' ') out += {'\xf3', '\xa0', static_cast<char>(0x80 | c >> 6), static_cast<char>(0x80 | (c & 0x3f))};
  return out;
}

// Writes 16 bytes in each line, after their offset.
inline std::string dump(std::string_view text, const char* offset, size_t word, bool with_text) {
  std::string out;
  char buffer[24];
  for (size_t at = 0; at < text.size(); at += 16) {
    out.append(buffer, static_cast<size_t>(snprintf(buffer, sizeof buffer, offset, at)));
    std::string row(text.substr(at, 16)), words;
    for (size_t i = 0; i < row.size(); i += word) words += " " + each(row.substr(i, word), "%02x");
    words.resize(50, ' ');
    std::ranges::replace(row, '\n', '.');
    out += words + (with_text ? " |" + row + "|\n" : "\n");
  }
  return out;
}

// Writes line ends as JSON does.
inline std::string lines_in_json(const std::string& text) {
  std::string out;
  for (char c : text) out += c == '\n' ? std::string("\\n") : std::string(1, c);
  return out;
}

// Repeats a piece until the text has at least `size` bytes.
inline std::string many(std::string_view piece, size_t size) {
  std::string out;
  while (out.size() < size) out += piece;
  return out;
}

}  // namespace bottle::scan
