// Checks that every finding lies within the block, that the work is bounded, and that a secret in plain
// text is found.
#include <cstdlib>
#include <string>

#include "scan/detector.h"

using namespace bottle::scan;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
  static constexpr std::string_view kSecret = "q7Hs82-kLmz0_PwX3rTn5v";
  static Catalog catalog = [] {
    auto made = *Catalog::builtin();
    made.add_known("secret", kSecret);
    made.build();
    return made;
  }();
  if (size == 0) return 0;
  std::string block(reinterpret_cast<const char*>(data) + 1, size - 1);
  bool joined = data[0] & 1, plant = data[0] & 2;
  if (plant) block.insert(block.size() * (data[0] >> 2) / 64, kSecret);
  auto result = Detector(&catalog).scan(block, joined);
  if (result.decoded > block.size() * (Detector::kMostDecoded + 2) + 2 * Detector::kMostUnpacked) std::abort();
  bool found = result.findings.size() >= 64;
  for (const auto& finding : result.findings) {
    if (finding.begin > finding.end || finding.end > block.size()) std::abort();
    found |= finding.name == "secret";
  }
  if (plant && !found) std::abort();
  return 0;
}
