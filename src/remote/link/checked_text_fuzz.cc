// Whatever another machine says: no control character is left in it, and what is left has the types that we read it
// with.
#include <cstdlib>

#include "remote/link/checked_text.h"

using nlohmann::json;

namespace {

void judge(const json& value) {
  if (value.is_string())
    for (unsigned char c : value.get_ref<const std::string&>())
      if (c < 0x20 || c == 0x7f) std::abort();
  if (value.is_structured())
    for (const auto& each : value) judge(each);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto words = bottle::remote::far_words({reinterpret_cast<const char*>(data), size});
  if (words.is_null()) return 0;
  if (!words.is_object()) std::abort();
  judge(words);
  (void)words.dump();  // throws on what is no UTF-8
  (void)words.value("event", "");
  (void)words.value("exit", 0);
  (void)words.value("bytes", uint64_t{0});
  (void)words.value("engine_at", 0.0);
  for (const auto& denied : words.value("egress", json::object()).value("denied", json::array()))
    (void)denied.value("host", "");
  for (const auto& left : words.value("receipt", json::object()).value("left", json::array()))
    (void)left.get<std::string>();
  return 0;
}
