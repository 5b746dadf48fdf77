// Feeds the tar reader with any bytes in any pieces. It must pass on only well-formed entries, with exactly their
// bytes.
#include <algorithm>
#include <cstdlib>

#include "docker/tar/tar.h"

using namespace bottle;
using namespace bottle::docker;

namespace {
void require(bool holds) {
  if (!holds) std::abort();
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  size_t piece = 1 + data[0] * size_t{5};  // from one byte to more than two blocks
  std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  uint64_t open = 0;
  bool in_file = false;
  TarReader reader(
      {.entry = [&](const TarEntry& entry) -> Result<> {
         require(!in_file);
         std::string path = "/" + entry.path + "/";
         require(!entry.path.empty() && entry.path[0] != '/' && path.find("/../") == path.npos &&
                 path.find("//") == path.npos);
         require(path.find('\0') == path.npos && entry.linkname.find('\0') == path.npos && (entry.mode & ~07777) == 0);
         require(entry.type == TarEntry::Type::file || entry.size == 0);
         in_file = entry.type == TarEntry::Type::file;
         open = entry.size;
         return {};
       },
       .data = [&](std::string_view chunk) -> Result<> {
         require(in_file && !chunk.empty() && chunk.size() <= open);
         open -= chunk.size();
         return {};
       },
       .end = [&]() -> Result<> {
         require(in_file && open == 0);
         in_file = false;
         return {};
       }},
      {.entries = 1000, .bytes = 1 << 20, .path = 300, .extension = 4096});
  bool whole = true;
  while (whole && !bytes.empty()) {
    whole = reader.feed(bytes.substr(0, piece)).has_value();
    bytes.remove_prefix(std::min(piece, bytes.size()));
  }
  if (reader.finish()) require(whole && !in_file);
  if (!whole) require(!reader.feed("x"));
  return 0;
}
