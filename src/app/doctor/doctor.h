// Checks whether this machine can run bottles, and says what to do if it cannot.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "app/output/finding.h"
#include "base/error.h"
#include "docker/engine.h"
#include "session/box/machine_findings.h"
#include "session/box/runtime_trial.h"

namespace bottle::app {

// Holds all known facts, which examine() gathers and diagnose() judges.
struct Health {
  std::optional<Error> engine_error;
  std::string socket, origin, version, api, default_runtime;
  bool rootless = false, seccomp = true;
  docker::EngineLimits limits;
  std::optional<Error> guard_image_error;
  std::vector<session::RuntimeTrial> runtimes;
  std::optional<uint64_t> engine_disk, state_disk;  // free bytes
  std::optional<Error> state_error;                 // why nothing can be written to the state directory
  uint64_t memory = 0, memory_available = 0;        // in bytes; 0 if not known
  // Says which tools for building images and cloning workspaces this machine has.
  struct Tools {
    bool debian = true, mmdebstrap = false, npm = false;
    std::string git;  // "git version 2.39.5"; empty if git is not installed
  } tools;
  // Says which variables are set.
  struct Keys {
    bool claude_token = false, anthropic = false, openai = false;
  } keys;
  std::vector<std::string> policy_files;
  std::optional<Error> manifest_error;
  size_t agents = 0, bottles = 0;
  std::vector<std::string> providers;   // providers that the manifest's agents name
  std::vector<std::string> orphans;     // sessions whose owner is dead
  std::vector<std::string> unrecorded;  // "volume x": it has the labels of a session and is in no ledger
};

// Returns the findings. Pure.
std::vector<Finding> diagnose(const Health& health);

// Queries the engine, the system and the operator's files. Tries each runtime with a container, which is removed
// afterward. Blocks for half a minute for each runtime that hangs.
Health examine();

}  // namespace bottle::app
