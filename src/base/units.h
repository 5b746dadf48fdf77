// Writes sizes for people.
#pragma once

#include <cstdint>
#include <string>

namespace bottle {

// Returns a size of memory or of a limit, such as "1.5 GiB" or "300 MiB".
std::string binary_size(uint64_t bytes);
// Returns a size of disk space, such as "1.2 GB", "340 MB" or "12 KB".
std::string decimal_size(uint64_t bytes);

}  // namespace bottle
