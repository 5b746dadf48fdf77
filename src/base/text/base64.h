// Encodes and decodes Base64 with the standard alphabet and padding (RFC 4648 §4).
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace bottle {

std::string base64(std::string_view bytes);
// Decodes strictly. Fails with Code::invalid if the text is empty or has any other form.
Result<std::string> from_base64(std::string_view text);

}  // namespace bottle
