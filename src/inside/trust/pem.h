// Takes the certificates out of a PEM file. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace bottle::inside {

// Returns the certificates of `pem` in DER. Skips text between them, and those that are not valid Base64.
std::vector<std::string> certificates(std::string_view pem);

}  // namespace bottle::inside
