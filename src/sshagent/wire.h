// The encoding of RFC 4251 §5, as far as the agent protocol (draft-ietf-sshm-ssh-agent) uses it. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace bottle::sshagent {

// Takes values off the front of bytes; after the first failure everything fails.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  uint8_t byte();
  uint32_t number();
  std::string_view string();
  bool boolean();  // 0 or 1; anything else is a failure
  // Nothing failed and nothing is left over.
  bool done() const { return ok_ && bytes_.empty(); }
  bool ok() const { return ok_; }

 private:
  std::string_view take(size_t size);
  std::string_view bytes_;
  bool ok_ = true;
};

void put_number(std::string& out, uint32_t value);
void put_string(std::string& out, std::string_view value);

// The blob of "ssh-ed25519 AAAA… comment", or empty if it is not a public key whose blob names the same type.
std::string blob_of(std::string_view public_key_line);
std::string base64(std::string_view bytes);
std::string unbase64(std::string_view text);  // empty if it is not base64

}  // namespace bottle::sshagent
