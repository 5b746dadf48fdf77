// This file provides the images that a session needs. The guard's image is made here from the program that `bottle`
// carries in its own file.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/files/directories.h"
#include "docker/engine.h"
#include "plan/plan.h"

namespace bottle::session {

std::string_view bootstrap_script();

// Returns the reference of this program's guard image, existing or not, on an engine with the same processor.
std::string guard_reference();

// Imports the guard's FROM scratch image for the engine's processor if the engine does not have this version. Returns
// its reference. Fails if the guard for that processor is missing (session/box/programs.h). Blocks.
Result<std::string> ensure_guard_image(docker::Engine& engine);

// Builds the plan's agent image if the engine lacks it, or always with `refresh`. The root file system is made with the
// machine's own package managers, without an image registry. Sends progress lines to `progress`. Takes minutes the
// first time, and returns at once if the image exists. A refreshed image replaces the old one under the same reference;
// containers of the old image keep running. A stop ends the build with Code::canceled; the engine must heed it too.
Result<> ensure_agent_image(docker::Engine& engine, const Directories& directories, const plan::Image& image,
                            const std::function<void(const std::string&)>& progress, bool refresh = false,
                            const std::stop_token& stop = {});

// Fails with Code::denied if an image has labels that only bottle sets on what it makes. Such an image was made from
// the container of a session, or pretends to be one. `image` is the engine's description of it. The function is pure.
Result<> refuse_forged_labels(const nlohmann::json& image, const std::string& reference);

// Reports whether bottle makes the image. Such an image is the same on every machine, because its tag is the hash of
// what it is made from.
inline bool is_ours(const std::string& reference) { return reference.starts_with("bottle-agent-"); }

// Returns the image's name, a space and its id. The id is needed because another machine may have an older image of the
// same name. For an image that bottle makes, the name is enough and the id is left out. `reference` may have no tag.
// Fails with Code::not_found if there is no such image.
Result<std::string> image_identity(docker::Engine& engine, const std::string& reference);
// Returns the identities of all images that have a name. `images` comes from Engine::images().
std::vector<std::string> image_identities(const nlohmann::json& images);
inline std::string reference_of(const std::string& identity) { return identity.substr(0, identity.find(' ')); }

// Describes an image that bottle made on this engine.
struct OwnImage {
  std::string reference;             // bottle-agent-…:replaced-… if a refresh gave the name to another image
  std::string id, agent;             // agent is "claude 2.1.3", "guard" and so on
  std::string package, integrity;    // of the npm package with the agent's program; empty if unknown
  uint64_t size = 0;                 // in bytes
  int64_t created = 0;               // in seconds since 1970
  std::vector<std::string> used_by;  // names of containers
  bool current = false;              // a start would use it today
};

// Finds these images by bottle's references. The details come from labels, which other images may have too. `current`
// has the references that the manifest uses even if no container does.
Result<std::vector<OwnImage>> own_images(docker::Engine& engine, const std::set<std::string>& current);

// Returns the images that a start would use today and whose agent was installed more than 30 days before `now` (seconds
// since 1970). Such an agent lacks its vendor's later fixes. The function is pure.
std::vector<OwnImage> with_old_agents(const std::vector<OwnImage>& images, int64_t now);

}  // namespace bottle::session
