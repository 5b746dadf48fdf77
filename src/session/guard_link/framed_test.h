// Supports tests that play a guard.
#pragma once

#include <string>

#include "wire/guard/control.h"

namespace bottle::session {

// Returns a message of the guard as it comes over the engine's attach stream.
inline std::string framed(const wire::FromGuard& message) {
  std::string line = wire::encode(message) + "\n";
  std::string header{1, 0, 0, 0, 0, 0, 0, 0};
  header[6] = static_cast<char>(line.size() >> 8);
  header[7] = static_cast<char>(line.size());
  return header + line;
}

}  // namespace bottle::session
