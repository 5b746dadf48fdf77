#include "base/ids.h"

#include <unistd.h>
#include <sys/random.h>

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

}  // namespace bottle
