// Reads only what a bundle of certificates needs of PEM (RFC 7468): the lines between the markers, as Base64. Whether
// the bytes are a certificate is for the reader of the store to decide.
#include "inside/trust/pem.h"

#include <cstdint>

namespace bottle::inside {
namespace {

// Decodes lines of Base64. Returns an empty string if the text is not Base64.
std::string decode(std::string_view text) {
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (char c : text) {
    int value = c >= 'A' && c <= 'Z'   ? c - 'A'
                : c >= 'a' && c <= 'z' ? c - 'a' + 26
                : c >= '0' && c <= '9' ? c - '0' + 52
                : c == '+'             ? 62
                : c == '/'             ? 63
                                       : -1;
    // Line ends are part of the format, and padding says nothing that the length does not.
    if (c == '\r' || c == '\n' || c == '=') continue;
    if (value < 0) return "";
    bits = bits << 6 | static_cast<uint32_t>(value);
    count += 6;
    // Bits that remain at the end are padding.
    if (count < 8) continue;
    count -= 8;
    out += static_cast<char>(bits >> count & 0xff);
  }
  return out;
}

}  // namespace

std::vector<std::string> certificates(std::string_view pem) {
  constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----", kEnd = "-----END CERTIFICATE-----";
  std::vector<std::string> found;
  for (size_t at = 0; (at = pem.find(kBegin, at)) != pem.npos;) {
    at += kBegin.size();
    size_t end = pem.find(kEnd, at);
    if (end == pem.npos) break;
    if (std::string der = decode(pem.substr(at, end - at)); !der.empty()) found.push_back(std::move(der));
    at = end;
  }
  return found;
}

}  // namespace bottle::inside
