#include "base/units.h"

#include <cstdio>

namespace bottle {

std::string binary_size(uint64_t bytes) {
  char text[32];
  bool large = bytes >= 1ull << 30;
  (void)std::snprintf(text, sizeof text, "%.3g %s", static_cast<double>(bytes) / (large ? 1ull << 30 : 1ull << 20),
                      large ? "GiB" : "MiB");
  return text;
}

std::string decimal_size(uint64_t bytes) {
  if (bytes < 1'000'000) return std::to_string(bytes / 1000) + " KB";
  if (bytes < 1'000'000'000) return std::to_string(bytes / 1'000'000) + " MB";
  char text[32];
  (void)std::snprintf(text, sizeof text, "%.1f GB", static_cast<double>(bytes) / 1e9);
  return text;
}

}  // namespace bottle
