// Computes the id that git gives to a file's content: the hash of a short header with the size, followed by the
// content (gitformat-pack(5)).
#include "workspace/files/blob_id.h"

#include "base/ids.h"

namespace bottle::workspace {

BlobHash::BlobHash(uint64_t size, size_t id_size)
    : sha_(id_size == 20 ? pki::Digest::Algorithm::sha1 : pki::Digest::Algorithm::sha256) {
  add("blob " + std::to_string(size) + '\0');
}

std::string BlobHash::end() { return to_hex(sha_.finish()); }

std::string blob_id(std::string_view content, size_t id_size) {
  BlobHash hash(content.size(), id_size);
  hash.add(content);
  return hash.end();
}

}  // namespace bottle::workspace
