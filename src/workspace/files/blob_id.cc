#include "workspace/files/blob_id.h"

#include "base/ids.h"

namespace bottle::workspace {

BlobHash::BlobHash(uint64_t size) { add("blob " + std::to_string(size) + '\0'); }

std::string BlobHash::end() { return to_hex(sha_.finish()); }

std::string blob_id(std::string_view content) {
  BlobHash hash(content.size());
  hash.add(content);
  return hash.end();
}

}  // namespace bottle::workspace
