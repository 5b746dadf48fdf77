// Random names from the kernel's generator.
#pragma once

#include <string>

namespace bottle {

// `bytes` random bytes as lower-case hex. Aborts if the kernel has no randomness to give.
std::string random_hex(int bytes);

}  // namespace bottle
