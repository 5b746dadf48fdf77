// Decodes any text as any message; the first byte selects the type. A decoded message must survive encoding and
// decoding unchanged, and text for people from a foreign sender must have no control characters.
#include <cstdint>
#include <cstdlib>

#include "base/text/json.h"
#include "base/text/line.h"
#include "wire/samples_test.h"

using namespace bottle::wire;

namespace {

void judge(const nlohmann::json& value) {
  if (value.is_string() && bottle::one_line(value.get_ref<const std::string&>()) != value.get_ref<const std::string&>())
    std::abort();
  if (value.is_structured())
    for (const auto& each : value) judge(each);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::vector<Sample> all = samples();
  if (size == 0) return 0;
  const Sample& sample = all[data[0] % all.size()];
  auto read = sample.read_and_write({reinterpret_cast<const char*>(data + 1), size - 1});
  if (!read) return 0;
  auto again = sample.read_and_write(*read);
  if (!again || *again != *read) std::abort();
  if (sample.from == From::foreign) judge(*bottle::parse_json(*read));
  return 0;
}
