// Decodes what the agent and the operator's files contain, with strict bounds. A failed read returns an empty value and
// makes all later reads fail, so a parser can read all fields first and ask done() once.
#include "sshagent/wire.h"

#include "base/text/base64.h"

namespace bottle::sshagent {

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
// Returns the binary form of a public key from a line "TYPE BASE64 COMMENT", or an empty string if it is malformed.
std::string blob_of(std::string_view line) {
  size_t space = line.find(' ');
  if (space == std::string_view::npos) return {};
  size_t begin = line.find_first_not_of(' ', space);
  if (begin == std::string_view::npos) return {};
  auto blob = from_base64(line.substr(begin, line.find_first_of(" \t\r\n", begin) - begin));
  if (!blob) return {};
  Reader reader(*blob);
  // A blob begins with the name of its type. If the two differ, programs disagree on what the key is.
  return reader.string() == line.substr(0, space) ? *blob : std::string();
}

}  // namespace bottle::sshagent
