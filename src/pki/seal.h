// Encrypts bytes for a disk, so that only the holder of the key can read them, and computes digests.
#pragma once

#include <openssl/evp.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"

namespace bottle::pki {

constexpr size_t kSealKey = 32, kDigest = 32;

// Returns a key of 32 random bytes for one stream. Never use one key for two streams, because both could then be
// decrypted without it.
std::string new_seal_key();

// Applies AES-256-CTR from a position on. The same call encrypts and decrypts. It does not authenticate; compare a
// digest to be sure that the bytes are right.
Result<> seal(std::string_view key, uint64_t position, char* bytes, size_t size);

// Computes SHA-256, or SHA-1, which git uses to name content. SHA-1 does not protect against forgery.
class Digest {
 public:
  enum class Algorithm { sha256, sha1 };
  explicit Digest(Algorithm algorithm = Algorithm::sha256);
  // Adds bytes. Aborts, as all functions here do, if the library fails, which it does only without memory.
  void feed(std::string_view bytes);
  std::string finish();             // 32 bytes, or 20 of SHA-1; call it only once
  void begin(Algorithm algorithm);  // starts over; may be called after finish()

 private:
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context_;
};
// Returns the 32 bytes of SHA-256. Several threads may call it at the same time.
std::string digest(std::string_view bytes);

}  // namespace bottle::pki
