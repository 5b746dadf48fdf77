// Bytes that lie on a disk for whoever has the key alone, and the digest that tells them from others.
#pragma once

#include <openssl/evp.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"

namespace bottle::pki {

constexpr size_t kSealKey = 32, kDigest = 32;

// 32 bytes of the system's randomness, for one stream: two under one key would lie open.
std::string new_seal_key();

// AES-256-CTR from a position on; the same call seals and opens. Whether the bytes are the right ones, a digest says.
Result<> seal(std::string_view key, uint64_t position, char* bytes, size_t size);

// SHA-256.
class Digest {
 public:
  Digest();
  void feed(std::string_view bytes);
  std::string finish();  // 32 bytes; once

 private:
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context_;
};
std::string digest(std::string_view bytes);

}  // namespace bottle::pki
