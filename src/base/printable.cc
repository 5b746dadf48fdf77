#include "base/printable.h"

#include <nlohmann/json.hpp>

namespace bottle {

std::string printable(std::string_view text, size_t most) {
  std::string out;
  for (unsigned char c : text.substr(0, most)) {
    bool c1 = c >= 0x80 && c < 0xa0 && !out.empty() && out.back() == '\xc2';  // U+0080…: control characters too
    if (c1) out.back() = ' ';
    else out += c < 0x20 || c == 0x7f ? ' ' : static_cast<char>(c);
  }
  // There and back again: what is no UTF-8 becomes the replacement character.
  return nlohmann::json::parse(nlohmann::json(out).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace))
      .get<std::string>();
}

}  // namespace bottle
