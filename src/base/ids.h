// Makes names: random ones from the kernel's generator, and names derived from content.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace bottle {

// Returns the bytes in lower-case hexadecimal.
std::string to_hex(std::string_view bytes);
// Returns the bytes that the hexadecimal text stands for. Fails with Code::invalid if it is not such a text.
Result<std::string> from_hex(std::string_view text);

// Returns `bytes` random bytes in lower-case hexadecimal. Aborts if the kernel cannot supply randomness.
std::string random_hex(int bytes);

// Returns whether `name` may name a session or a VM: [a-z0-9-]{1,40}, not beginning with a dash. Such a name is safe as
// a component of a path and in the names of the engine's objects.
bool is_session_name(std::string_view name);

// Returns twelve hexadecimal digits that differ between contents. They name content but do not protect against forgery.
std::string content_hash(std::string_view bytes);

// Computes the same digits for a stream.
class Fingerprint {
 public:
  // Adds bytes; how a stream is cut into pieces makes no difference.
  void feed(std::string_view bytes);
  // Returns the digits for all bytes so far. More may be fed afterwards. The digits depend on the byte order of the
  // processor.
  std::string text() const;

 private:
  uint64_t hash_ = 14695981039346656037ull, length_ = 0;
  char word_[8] = {};  // bytes that do not fill a word yet
  size_t held_ = 0;
};

}  // namespace bottle
