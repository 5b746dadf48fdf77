// Computes git's id of a file's content, to tell without git whether a file has changed.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace bottle::workspace {

// SHA-1 (FIPS 180-4) of bytes that arrive in pieces.
class Sha1 {
 public:
  void add(std::string_view bytes);
  std::string end();  // in lower-case hexadecimal; no bytes may be added after it

 private:
  void take_block();

  std::array<uint32_t, 5> state_ = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
  unsigned char block_[64];
  size_t used_ = 0;
  uint64_t length_ = 0;
};

// Starts the hash of a blob. The caller then adds `size` bytes of content.
Sha1 blob_hash(uint64_t size);

// Returns the SHA-1 of "blob SIZE\0" and the content (FIPS 180-4) in lower-case hexadecimal, as `git hash-object` does
// in a SHA-1 repository.
std::string blob_id(std::string_view content);

}  // namespace bottle::workspace
