// git's name for a file's content, to tell without git whether a file is as it was.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace bottle::workspace {

// SHA-1 (FIPS 180-4), as the bytes come.
class Sha1 {
 public:
  void add(std::string_view bytes);
  std::string end();  // in lower-case hexadecimal; nothing may follow it

 private:
  void take_block();

  std::array<uint32_t, 5> state_ = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
  unsigned char block_[64];
  size_t used_ = 0;
  uint64_t length_ = 0;
};

// Starts the hash of a blob whose content is `size` bytes, which follow.
Sha1 blob_hash(uint64_t size);

// SHA-1 of "blob SIZE\0" and the content (FIPS 180-4), in lower-case hexadecimal: what `git hash-object` says in a
// repository of that format.
std::string blob_id(std::string_view content);

}  // namespace bottle::workspace
