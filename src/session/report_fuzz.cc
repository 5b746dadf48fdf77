// A hostile image's report.
#include <cstdint>
#include <cstdlib>

#include "session/report.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto report = bottle::session::read_report({reinterpret_cast<const char*>(data), size});
  if (!report) return 0;
  if ((*report)["ok"] == true) {
    if ((*report)["probes"].empty()) std::abort();
    for (const auto& probe : (*report)["probes"])
      if (probe["ok"] != true) std::abort();
  }
  for (unsigned char c : bottle::session::surprises(*report))
    if (c < 0x20 || c == 0x7f) std::abort();
  return 0;
}
