#include "scan_input.h"

#include <time.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "scan/rule_examples.h"

namespace bottle::bench {
namespace {

constexpr std::array<std::string_view, kWraps> kNames = {"base64",  "base64url", "base32",   "hex",   "hex_pairs",
                                                         "percent", "unicode",   "entities", "json",  "decimals",
                                                         "utf16",   "gzip",      "zlib",     "quoted"};

// Encodes groups of `width` bits with the digits.
std::string in_digits(std::string_view bytes, std::string_view digits, unsigned width) {
  std::string out;
  uint32_t bits = 0;
  unsigned count = 0;
  for (unsigned char c : bytes) {
    bits = bits << 8 | c;
    for (count += 8; count >= width; count -= width) out += digits[bits >> (count - width) & ((1u << width) - 1)];
  }
  if (count) out += digits[bits << (width - count) & ((1u << width) - 1)];
  return out;
}

std::string each_byte(std::string_view bytes, const char* format) {
  std::string out;
  char buffer[16];
  for (unsigned char c : bytes)
    out.append(buffer, static_cast<size_t>(std::snprintf(buffer, sizeof buffer, format, c)));
  return out;
}

std::string packed(std::string_view bytes, int window) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string quoted(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size(); at += 4) out.append("\"").append(text.substr(at, 4)).append("\",");
  return out;
}

std::string json(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') out += "\\n";
    else out += c;
  }
  return out + "\"";
}

std::string wrapped(std::string_view text, Wrap wrap) {
  constexpr std::string_view kAlnum = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  constexpr int kZlib = 15, kGzip = 31;  // zlib's names for the formats
  switch (wrap) {
    case Wrap::base64:
      return in_digits(text, std::string(kAlnum) + "+/", 6) + "=";
    case Wrap::base64url:
      return in_digits(text, std::string(kAlnum) + "-_", 6);
    case Wrap::base32:
      return in_digits(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 5);
    case Wrap::hex:
      return each_byte(text, "%02x");
    case Wrap::hex_pairs:
      return each_byte(text, "%02x ");
    case Wrap::percent:
      return each_byte(text, "%%%02X");
    case Wrap::unicode:
      return each_byte(text, "\\u%04x");
    case Wrap::entities:
      return each_byte(text, "&#%d;");
    case Wrap::json:
      return json(text);
    case Wrap::decimals:
      return each_byte(text, "%d, ");
    case Wrap::utf16: {
      std::string out;
      for (char c : text) out.append({c, '\0'});
      return out;
    }
    case Wrap::gzip:
      return packed(text, kGzip);
    case Wrap::zlib:
      return packed(text, kZlib);
    case Wrap::quoted:
      return quoted(text);
  }
  return {};
}

}  // namespace

std::string_view name_of(Wrap wrap) { return kNames[static_cast<size_t>(wrap)]; }

std::string made(const Input& input, size_t size) {
  std::string out;
  if (input.piece.empty()) return std::string(size, ' ');
  bool packs = std::ranges::any_of(input.wraps, [](Wrap wrap) { return wrap == Wrap::gzip || wrap == Wrap::zlib; });
  constexpr size_t kUnpacked = 8;  // times the size
  constexpr uint32_t kFillings = 100;
  size_t whole = size * (packs ? kUnpacked : 1);
  for (uint32_t i = 0; i < kFillings && out.size() < whole; ++i) out += scan::filled(input.piece, i);
  while (out.size() < whole) out += std::string(out);
  for (Wrap wrap : input.wraps) out = wrapped(out, wrap);
  while (out.size() < size) out += std::string(out);
  out.resize(size);
  return out;
}

double cpu_nanoseconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

}  // namespace bottle::bench
