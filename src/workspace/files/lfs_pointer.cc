#include "workspace/files/lfs_pointer.h"

#include "base/files/file.h"
#include "base/ids.h"
#include "base/text/line.h"
#include "pki/seal.h"

namespace bottle::workspace {
namespace {

constexpr std::string_view kVersion = "version https://git-lfs.github.com/spec/v1\n";

}  // namespace

bool is_lfs_pointer(std::string_view content) {
  return content.size() <= kLongestPointer && content.starts_with(kVersion);
}

Result<std::optional<std::string>> lfs_pointer_of(int fd, const std::string& path) {
  pki::Digest digest;
  uint64_t size = 0;
  std::string begin, chunk(65536, '\0');
  while (size_t n = TRY(read_some(fd, chunk, "reading " + one_line(path, 4096)))) {
    std::string_view bytes(chunk.data(), n);
    digest.feed(bytes);
    size += bytes.size();
    if (begin.size() <= kLongestPointer) begin += bytes.substr(0, kLongestPointer + 1);
  }
  if (size == 0 || is_lfs_pointer(begin)) return std::nullopt;
  return std::optional(std::string(kVersion) + "oid sha256:" + to_hex(digest.finish()) + "\nsize " +
                       std::to_string(size) + "\n");
}

}  // namespace bottle::workspace
