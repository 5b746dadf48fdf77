// Decodes what the agent and the operator's files contain, with strict bounds. A failed read returns an empty value and
// makes all later reads fail, so a parser can read all fields first and ask done() once.
#include "sshagent/wire.h"

#include <array>

namespace bottle::sshagent {
namespace {
constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
}

std::string_view Reader::take(size_t size) {
  if (!ok_ || bytes_.size() < size) {
    ok_ = false;
    return {};
  }
  auto taken = bytes_.substr(0, size);
  bytes_.remove_prefix(size);
  return taken;
}

uint8_t Reader::byte() {
  auto taken = take(1);
  return taken.empty() ? 0 : static_cast<uint8_t>(taken[0]);
}

uint32_t Reader::number() {
  uint32_t value = 0;
  for (char c : take(4)) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

std::string_view Reader::string() {
  uint32_t size = number();
  return take(size);
}

bool Reader::boolean() {
  uint8_t value = byte();
  if (value > 1) ok_ = false;
  return value == 1;
}

void put_number(std::string& out, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 255);
}

void put_string(std::string& out, std::string_view value) {
  put_number(out, static_cast<uint32_t>(value.size()));
  out.append(value);
}

// Encodes with padding (RFC 4648, section 4).
std::string base64(std::string_view bytes) {
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    // Missing bytes at the end count as zeros. Characters that would consist only of such bytes become "=".
    for (size_t k = 0; k < 3; ++k)
      group = group << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    for (size_t k = 0; k < 4; ++k) out += i + k <= bytes.size() ? kAlphabet[group >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

// Decodes strictly. Returns an empty string if the text is not Base64 with padding.
std::string unbase64(std::string_view text) {
  static const auto kValues = [] {
    std::array<int8_t, 256> values;
    values.fill(-1);
    for (int8_t i = 0; i < 64; ++i) values[static_cast<unsigned char>(kAlphabet[i])] = i;
    return values;
  }();
  size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  // Padding is required, as in the files of OpenSSH.
  if (text.empty() || text.size() % 4 != 0) return {};
  std::string out;
  for (size_t i = 0; i < text.size(); i += 4) {
    uint32_t group = 0;
    for (size_t k = 0; k < 4; ++k) {
      bool pad = i + k >= text.size() - padding;
      int value = pad ? 0 : kValues[static_cast<unsigned char>(text[i + k])];
      if (value < 0) return {};
      group = group << 6 | static_cast<uint32_t>(value);
    }
    for (int shift = 16; shift >= 0; shift -= 8) out += static_cast<char>(group >> shift & 255);
  }
  out.resize(out.size() - padding);
  return out;
}

// Returns the binary form of a public key from a line "TYPE BASE64 COMMENT", or an empty string if it is malformed.
std::string blob_of(std::string_view line) {
  size_t space = line.find(' ');
  if (space == std::string_view::npos) return {};
  size_t begin = line.find_first_not_of(' ', space);
  if (begin == std::string_view::npos) return {};
  std::string blob = unbase64(line.substr(begin, line.find_first_of(" \t\r\n", begin) - begin));
  Reader reader(blob);
  // A blob begins with the name of its type. If the two differ, programs disagree on what the key is.
  return reader.string() == line.substr(0, space) ? blob : std::string();
}

}  // namespace bottle::sshagent
