// Names: random ones from the kernel's generator, and ones that follow from a content.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace bottle {

// `bytes` random bytes as lower-case hex. Aborts if the kernel has no randomness to give.
std::string random_hex(int bytes);

// Twelve hexadecimal digits that tell one content from another. A name, not a defence.
std::string content_hash(std::string_view bytes);

// The same over a stream.
class Fingerprint {
 public:
  void feed(std::string_view bytes);
  std::string text() const;

 private:
  uint64_t hash_ = 14695981039346656037ull, length_ = 0;
  char word_[8] = {};  // what is left over from whole words
  size_t held_ = 0;
};

}  // namespace bottle
