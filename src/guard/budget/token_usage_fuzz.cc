// Checks that the usage of an answer does not depend on how the answer is cut, and that no count exceeds its limit.
#include <cstdlib>

#include "guard/budget/token_usage.h"

using namespace bottle::guard;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  auto layout = data[0] & 1 ? UsageReader::Layout::events : UsageReader::Layout::json;
  size_t piece = data[1] % 16 + size_t{1};
  std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
  UsageReader whole(layout), cut(layout);
  whole.feed(text);
  for (size_t at = 0; at < text.size(); at += piece) cut.feed(text.substr(at, piece));
  TokenUsage usage = whole.usage();
  if (usage != cut.usage() || whole.model() != cut.model() || usage.total() > 8 * UsageReader::kMost) std::abort();
  return 0;
}
