// The images a session needs. The guard's is made here, from the bytes that `bottle` carries.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/directories.h"
#include "base/error.h"
#include "docker/engine.h"
#include "plan/plan.h"

namespace bottle::session {

std::string_view guard_program();
std::string_view inside_program();
std::string_view bootstrap_script();

// The reference that this program's guard image has or will have.
std::string guard_reference();

// Imports the guard's FROM scratch image if the engine lacks this version. Its reference. Blocking.
Result<std::string> ensure_guard_image(docker::Engine& engine);

// Builds the plan's agent image if the engine lacks it, or, with `refresh`, anyway: a root file system made with the
// machine's own package managers, no image registry. Progress lines go to `progress`. Minutes the first time, then
// nothing. A refreshed image replaces the old one under the same reference; what runs on the old one goes on.
Result<> ensure_agent_image(docker::Engine& engine, const Directories& directories, const plan::Image& image,
                            const std::function<void(const std::string&)>& progress, bool refresh = false);

// Refuses an image that brings labels which only bottle sets on what it makes: it was made from the container of a
// session, or is to pass for one. `image`: as the engine describes it. Pure. Code::denied.
Result<> refuse_forged_labels(const nlohmann::json& image, const std::string& reference);

// One that bottle makes, the same everywhere: its tag is the hash of what it is made from.
inline bool is_ours(const std::string& reference) { return reference.starts_with("bottle-agent-"); }

// What an image is called and, behind a space, is (its id): another machine's may have its name and be older. Of ours
// the name says both. The name may be one without a tag. Code::not_found.
Result<std::string> image_identity(docker::Engine& engine, const std::string& reference);
// Of all that have a name. `images`: Engine::images().
std::vector<std::string> image_identities(const nlohmann::json& images);
inline std::string reference_of(const std::string& identity) { return identity.substr(0, identity.find(' ')); }

// An image that bottle made on this engine.
struct OwnImage {
  std::string reference;             // of one whose name a refresh took: bottle-agent-…:replaced-…
  std::string id, agent;             // agent: "claude 2.1.3", "guard", …
  std::string package, integrity;    // of npm, which holds the agent's program; empty: it does not say
  uint64_t size = 0;                 // bytes
  int64_t created = 0;               // seconds since 1970
  std::vector<std::string> used_by;  // containers
  bool current = false;              // what a start of today would use
};

// By our references; what they say of themselves are labels, and labels are what others may bring, too. `current`:
// references that are in use by policy even while no container has them.
Result<std::vector<OwnImage>> own_images(docker::Engine& engine, const std::set<std::string>& current);

// Those that a start of today would use and whose agent was installed more than 30 days before `now` (seconds since
// 1970): it lacks what its makers have repaired since. Pure.
std::vector<OwnImage> with_old_agents(const std::vector<OwnImage>& images, int64_t now);

}  // namespace bottle::session
