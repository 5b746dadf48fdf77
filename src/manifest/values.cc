// Answers questions about single values of a manifest.
#include <algorithm>
#include <cstdio>

#include "manifest/manifest.h"
#include "policy/host.h"

namespace bottle::manifest {

bool is_address(const std::string& host) {
  auto read = policy::normalise_host(host);
  return read && read->literal;
}

std::string cost_text(double amount) {
  char text[400];
  int size = std::snprintf(text, sizeof text, "%.6f", amount);
  std::string all(text, static_cast<size_t>(std::clamp(size, 0, static_cast<int>(sizeof text) - 1)));
  size_t point = all.find('.');
  // It is a number without digits, such as infinity.
  if (point == all.npos) return all;
  return all.substr(0, std::max(all.find_last_not_of('0'), point + 2) + 1);
}

}  // namespace bottle::manifest
