// Names: random ones from the kernel's generator, and ones that follow from a content.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace bottle {

// `bytes` random bytes as lower-case hex. Aborts if the kernel has no randomness to give.
std::string random_hex(int bytes);

// Whether a session may be called so: [a-z0-9-]{1,40}, the first no dash. Such a name is one part of a path and of the
// names that the engine knows, and nothing else.
bool is_session_name(std::string_view name);

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
