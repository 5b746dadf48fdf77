// Makes the texts under which a secret can be found without decoding. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace bottle::scan {

// Says how a form writes the value.
enum class Encoding : uint8_t {
  literal,
  plus,    // with spaces as '+', as HTML forms write them
  latin1,  // each byte as a separate character in UTF-8, as servers return a header value that is not ASCII
  base64,
  base64url,
};

// Holds one text of a value, and says how it was made.
struct Form {
  std::string text;
  Encoding encoding = Encoding::literal;
  // For Base64, the number of bytes, modulo 3, that precede the secret in the encoded data. `text` is the part of the
  // encoded text that depends only on the secret, so it is found regardless of what precedes or follows it.
  uint8_t shift = 0;
};

// Returns every form of `value`, the literal one first. Leaves out encoded forms shorter than kShortestEncoded bytes,
// because they would be found everywhere by chance.
inline constexpr size_t kShortestEncoded = 8;
std::vector<Form> forms_of(std::string_view value);

// Returns the part of the Base64 text of (`shift` bytes + `value`) that depends only on `value`.
std::string base64_core(std::string_view value, uint8_t shift, bool url);

// Returns, for Base85 (as in Python, Adobe's and ZeroMQ's) and for uuencoded text, the beginning of the part that
// depends only on `value`, for each alignment. Most of them have 10 characters, which seldom occur by chance.
std::vector<std::string> other_cores(std::string_view value);

}  // namespace bottle::scan
