// Defines what this machine keeps about container runtimes that work. The file stays on disk.
#pragma once

#include <map>
#include <string>

#include "wire/codec/codec.h"

namespace bottle::wire {

// Holds the runtimes that have passed their trial, by the circumstances of the trial (session/box/runtime_trial.h).
struct PassedTrials {
  static constexpr const char* kName = "record of the runtimes that passed their trial";
  static constexpr size_t kMost = 1 << 20;
  std::map<std::string, std::string> runtimes;
};
void fields(Object& o, PassedTrials& passed);

}  // namespace bottle::wire
