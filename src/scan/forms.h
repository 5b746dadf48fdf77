// The texts in which a secret can appear without any decoding. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bottle::scan {

enum class Encoding : uint8_t {
  literal,
  plus,    // spaces as '+', the way HTML forms write them
  latin1,  // each byte as a character of its own, in UTF-8: what a server makes of a header value that is not ASCII
  base64,
  base64url,
};

struct Form {
  std::string text;
  Encoding encoding = Encoding::literal;
  // Of Base64: how many bytes, modulo 3, stand before the secret in what was encoded. `text` is the part of the encoded
  // text that depends on nothing but the secret, so it is found whatever stands before or after.
  uint8_t shift = 0;
};

// Every form of `value`, the literal one first. Encoded forms of under kShortestEncoded bytes are left out: they would
// be found everywhere by chance.
inline constexpr size_t kShortestEncoded = 8;
std::vector<Form> forms_of(std::string_view value);

// The part of the Base64 text of (`shift` bytes + `value`) that depends on `value` alone.
std::string base64_core(std::string_view value, uint8_t shift, bool url);

}  // namespace bottle::scan
