// Implements the encoding of RFC 4251 §5, as far as the agent protocol (draft-ietf-sshm-ssh-agent) needs it. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace bottle::sshagent {

// Reads values from the front of a byte string. After the first failure, every later read fails.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  // Return the next value, or 0 or an empty string after a failure. number() is big-endian, and string() has a length
  // of four bytes before it. The string points into the bytes that were given.
  uint8_t byte();
  uint32_t number();
  std::string_view string();
  bool boolean();  // any byte but 0 and 1 is a failure
  // Returns whether nothing failed and nothing is left over.
  bool done() const { return ok_ && bytes_.empty(); }
  bool ok() const { return ok_; }

 private:
  std::string_view take(size_t size);
  std::string_view bytes_;
  bool ok_ = true;
};

// Append a value in the same encoding.
void put_number(std::string& out, uint32_t value);
void put_string(std::string& out, std::string_view value);

// Returns the blob of "ssh-ed25519 AAAA… comment", or an empty string if the text is not a public key whose blob
// names the same type.
std::string blob_of(std::string_view public_key_line);

}  // namespace bottle::sshagent
