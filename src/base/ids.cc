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

void Fingerprint::feed(std::string_view bytes) {
  for (unsigned char c : bytes) hash_ = (hash_ ^ c) * 1099511628211ull;
}

std::string Fingerprint::text() const {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash_));
  return std::string(text, 12);
}

std::string content_hash(std::string_view bytes) {
  Fingerprint fingerprint;
  fingerprint.feed(bytes);
  return fingerprint.text();
}

}  // namespace bottle
