#include "scan/credential/fingerprint.h"

#include "pki/seal.h"

namespace bottle::scan {

std::string fingerprint(std::string_view value) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string digest = pki::digest(value), out;
  for (size_t i = 0; i < 6; ++i) {
    auto byte = static_cast<unsigned char>(digest[i]);
    out += {kHex[byte >> 4], kHex[byte & 15]};
  }
  return out;
}

}  // namespace bottle::scan
