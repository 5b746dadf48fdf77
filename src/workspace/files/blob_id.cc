// Computes the id that git gives to a file's content: the hash of a short header with the size, followed by the
// content (gitformat-pack(5)).
#include "workspace/files/blob_id.h"

#include "base/ids.h"

namespace bottle::workspace {

pki::Digest digest_for(git::ObjectFormat format) {
  using Algorithm = pki::Digest::Algorithm;
  return pki::Digest(format == git::ObjectFormat::sha1 ? Algorithm::sha1 : Algorithm::sha256);
}

BlobHash::BlobHash(git::ObjectFormat format, uint64_t size) : sha_(digest_for(format)) {
  add("blob " + std::to_string(size) + '\0');
}

std::string BlobHash::end() { return to_hex(sha_.finish()); }

std::string blob_id(git::ObjectFormat format, std::string_view content) {
  BlobHash hash(format, content.size());
  hash.add(content);
  return hash.end();
}

}  // namespace bottle::workspace
