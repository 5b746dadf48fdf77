#include <cstdlib>

#include "guard/protocol/nested_url.h"
#include "policy/path.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  if (bottle::policy::percent_decoded(text).size() > size) std::abort();
  size_t total = 0;
  for (const auto& host : bottle::guard::hosts_of_url(text)) {
    if (host.empty() || host.ends_with('.')) std::abort();
    total += host.size();
  }
  for (const auto& host : bottle::guard::hosts_of_bare_url(text)) total += host.size();
  if (total > 4 * size + 16) std::abort();
  return 0;
}
