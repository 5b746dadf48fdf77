// Bytes are sealed in CTR mode because a stream may be read again from any position, and the counter follows from the
// position: 16 bytes for each step. A key is used for one stream only, because using a counter twice under the same
// key would reveal the difference of two texts.

#include "pki/seal.h"

#include <sys/random.h>
#include <unistd.h>

#include <cstdlib>

namespace bottle::pki {
namespace {

constexpr size_t kBlock = 16;

}  // namespace

std::string new_seal_key() {
  std::string key(kSealKey, '\0');
  // A key that is not random would protect nothing.
  if (::getentropy(key.data(), key.size()) != 0) std::abort();
  return key;
}

// The cipher is set up for each call, which costs little compared with encrypting a piece of a file.
Result<> seal(std::string_view key, uint64_t position, char* bytes, size_t size) {
  struct Free {
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
  };
  std::unique_ptr<EVP_CIPHER_CTX, Free> context(EVP_CIPHER_CTX_new());
  unsigned char counter[kBlock] = {}, skipped[kBlock] = {};
  // The counter block is a big-endian number, whose upper half stays 0.
  for (int i = 0; i < 8; ++i) counter[kBlock - 1 - i] = static_cast<unsigned char>(position / kBlock >> (8 * i));
  int n = 0;
  auto* at = reinterpret_cast<unsigned char*>(bytes);
  // If the position is inside a block, the bytes of the key stream before it are used up first. The size must fit
  // into an int, as OpenSSL's functions require.
  bool done = key.size() == kSealKey && size < (1u << 30) && context &&
              EVP_EncryptInit_ex(context.get(), EVP_aes_256_ctr(), nullptr,
                                 reinterpret_cast<const unsigned char*>(key.data()), counter) == 1 &&
              EVP_EncryptUpdate(context.get(), skipped, &n, skipped, static_cast<int>(position % kBlock)) == 1 &&
              EVP_EncryptUpdate(context.get(), at, &n, at, static_cast<int>(size)) == 1;
  return done ? Result<>() : fail(Code::internal, "sealing");
}

Digest::Digest(Algorithm algorithm) : context_(EVP_MD_CTX_new()) { begin(algorithm); }

void Digest::begin(Algorithm algorithm) {
  // OpenSSL would look up EVP_sha256() for each digest, which takes longer than hashing a line of text.
  static const EVP_MD* const kSha1 = EVP_MD_fetch(nullptr, "SHA1", nullptr);
  static const EVP_MD* const kSha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  const EVP_MD* which = algorithm == Algorithm::sha1 ? kSha1 : kSha256;
  if (!context_ || EVP_DigestInit_ex(context_.get(), which, nullptr) != 1) std::abort();
}

void Digest::feed(std::string_view bytes) {
  if (EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) != 1) std::abort();
}

std::string Digest::finish() {
  std::string out(static_cast<size_t>(EVP_MD_CTX_get_size(context_.get())), '\0');
  if (EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(out.data()), nullptr) != 1) std::abort();
  return out;
}

std::string digest(std::string_view bytes) {
  // Reuses one object, because making a context takes as long as hashing a line of text.
  thread_local Digest digest;
  digest.begin(Digest::Algorithm::sha256);
  digest.feed(bytes);
  return digest.finish();
}

}  // namespace bottle::pki
