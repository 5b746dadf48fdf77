// Provides the image that an agent's container starts from.
#pragma once

#include <stop_token>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files/directories.h"
#include "base/progress.h"
#include "docker/engine.h"
#include "plan/plan.h"

namespace bottle::session {

// Returns the script that makes an image's root file system (images/bootstrap.sh), which bottle carries in its own
// file. A part of the image's name is a hash of it.
std::string_view bootstrap_script();

// Says how an image is made. The caller keeps `directories` alive until the build has returned.
struct Making {
  const Directories& directories;  // where the record of the build's things on the engine is kept
  Progress progress;               // gets lines for the operator
  bool refresh = false;            // build even if the image exists
  std::stop_token stop = {};
};

// Builds the plan's agent image if the engine lacks it. The root file system is made with the machine's own package
// managers, without an image registry. Takes minutes the first time, and returns immediately if the image exists. A
// refreshed image replaces the old one under the same reference; containers of the old image keep running. A stop ends
// the build with Code::canceled; the engine must stop on it too.
Result<> ensure_agent_image(docker::Engine& engine, const plan::Image& image, const Making& making);

// Loads an image from the archive of another engine. If it replaces an image that bottle made, that one is removed, or
// gets another name while a container uses it.
Result<> load_agent_image(docker::Engine& engine, const docker::Engine::Reader& reader);

// Fails with Code::denied if an image has labels that only bottle sets on what it makes. Such an image was made from
// the container of a session, or pretends to be one. `image` is the engine's description of it. Pure.
Result<> refuse_forged_labels(const nlohmann::json& image, const std::string& reference);

}  // namespace bottle::session
