// Computes git's id of a file's content, to tell without git whether a file has changed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "pki/seal.h"

namespace bottle::workspace {

// Hashes a blob of `size` bytes, which arrive in pieces. `id_size` is as for blob_id().
class BlobHash {
 public:
  explicit BlobHash(uint64_t size, size_t id_size = 20);
  // Adds the next piece. All pieces together must have the size that the constructor got.
  void add(std::string_view bytes) { sha_.feed(bytes); }
  std::string end();  // as blob_id(); call it only once

 private:
  pki::Digest sha_;
};

// Returns the hash of "blob SIZE\0" and the content in lower-case hexadecimal, as `git hash-object` does in a
// repository whose ids have `id_size` bytes: SHA-1 for 20, SHA-256 for 32.
std::string blob_id(std::string_view content, size_t id_size = 20);

}  // namespace bottle::workspace
