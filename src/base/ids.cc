#include "base/ids.h"

#include <unistd.h>
#include <sys/random.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace bottle {

std::string random_hex(int bytes) {
  unsigned char raw[64];
  if (bytes > 64 || ::getentropy(raw, static_cast<size_t>(bytes)) != 0) std::abort();
  std::string out;
  for (int i = 0; i < bytes; ++i) {
    out += "0123456789abcdef"[raw[i] >> 4];
    out += "0123456789abcdef"[raw[i] & 15];
  }
  return out;
}

std::string content_hash(std::string_view bytes) {
  uint64_t hash = 14695981039346656037ull;
  for (unsigned char c : bytes) hash = (hash ^ c) * 1099511628211ull;
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
  return std::string(text, 12);
}

}  // namespace bottle
