// Computes git's id of a file's content, to tell without git whether a file has changed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "git/formats/object_format.h"
#include "pki/seal.h"

namespace bottle::workspace {

// Returns the hash that makes ids of this format.
pki::Digest digest_for(git::ObjectFormat format);

// Hashes a blob of `size` bytes, which arrive in pieces.
class BlobHash {
 public:
  BlobHash(git::ObjectFormat format, uint64_t size);
  // Adds the next piece. All pieces together must have the size that the constructor got.
  void add(std::string_view bytes) { sha_.feed(bytes); }
  std::string end();  // as blob_id(); call it only once

 private:
  pki::Digest sha_;
};

// Returns the hash of "blob SIZE\0" and the content in lower-case hexadecimal, as `git hash-object` does in a
// repository of this format.
std::string blob_id(git::ObjectFormat format, std::string_view content);

}  // namespace bottle::workspace
