// Checks that every finding lies within the block, that the work is bounded, and that a secret in plain
// text is found.
#include <cstdlib>
#include <string>

#include "scan/disguise_test.h"

using namespace bottle::scan;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
  if (size == 0) return 0;
  std::string block(reinterpret_cast<const char*>(data) + 1, size - 1);
  bool joined = data[0] & 1, plant = data[0] & 2;
  if (plant) block.insert(block.size() * (data[0] >> 2) / 64, kKnown);
  auto result = Detector(&catalog()).scan(block, joined);
  if (result.decoded > block.size() * (Detector::kMostDecoded + 2) + 2 * Detector::kMostUnpacked) std::abort();
  bool found = result.findings.size() >= 64;
  for (const auto& finding : result.findings) {
    if (finding.begin > finding.end || finding.end > block.size()) std::abort();
    found |= finding.name == "deploy";
  }
  if (plant && !found) std::abort();
  return 0;
}
