// Writes and reads frames for tests of HTTP/2 sessions.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "guard/h2/stream.h"

namespace bottle::guard::h2 {

// Returns all text that the stream has for the guard now.
inline std::string all_of(Stream& stream) {
  std::string out;
  char buffer[4096];
  for (size_t n; (n = stream.read(buffer, sizeof buffer)) > 0;) out.append(buffer, n);
  return out;
}

// Returns a frame, which may be one that Session would not send.
inline std::string frame(uint8_t type, uint8_t flags, uint32_t id, std::string_view payload) {
  std::string out;
  for (int shift : {16, 8, 0}) out += static_cast<char>(payload.size() >> shift);
  out += static_cast<char>(type);
  out += static_cast<char>(flags);
  for (int shift : {24, 16, 8, 0}) out += static_cast<char>(id >> shift);
  return out.append(payload);
}

// Returns the encoded form of fields. Each name and value is a literal.
inline std::string block(const Fields& fields) {
  std::string out;
  auto text = [&](const std::string& value) {
    size_t length = value.size(), most = 127;  // what fits into the first byte (RFC 7541 §5.1)
    out += static_cast<char>(std::min(length, most));
    if (length >= most) {
      for (length -= most; length >= 128; length /= 128) out += static_cast<char>(128 + length % 128);
      out += static_cast<char>(length);
    }
    out += value;
  };
  for (const auto& [name, value] : fields) {
    out += '\0';
    text(name);
    text(value);
  }
  return out;
}

}  // namespace bottle::guard::h2
