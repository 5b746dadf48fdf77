// Provides functions that the formats of all stores need. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace bottle::inside {

// Appends the last `bytes` bytes of a number, the most significant first.
void put(std::string& out, uint64_t value, int bytes);

// Returns the 20 bytes of the SHA-1 digest. The formats of the stores need it; nothing else may use it.
std::string sha1(std::string_view bytes);

}  // namespace bottle::inside
