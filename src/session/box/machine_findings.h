// Judges whether a machine has what a session needs. `bottle doctor` judges this machine, and remote/link another one,
// by the same limits.
#pragma once

#include <cstdint>
#include <string>

#include "base/finding.h"
#include "docker/engine_info.h"

namespace bottle::session {

// `engine` names the engine in a sentence, such as "the engine of vm-1".
void judge_limits(Findings& found, const docker::EngineLimits& limits, bool is_rootless, const std::string& engine);
void judge_seccomp(Findings& found, bool has_seccomp, const std::string& engine);

// `fact` says how much memory or disk space there is, such as "vm-1 has 3.9 GB of memory". `todo` is the advice if it
// is too little.
void judge_memory(Findings& found, uint64_t bytes, const std::string& fact, const std::string& todo);
void judge_disk(Findings& found, const char* code, uint64_t free_bytes, const std::string& fact,
                const std::string& todo);

}  // namespace bottle::session
