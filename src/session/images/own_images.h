// Identifies images: finds those that bottle made on an engine, and the same image on another engine.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "docker/engine.h"

namespace bottle::session {

// Returns whether bottle makes the image. Its tag is the hash of what it is made from, so such images are the same on
// every machine, except that a later one may have a newer agent.
inline bool is_ours(const std::string& reference) { return reference.starts_with("bottle-agent-"); }

// Returns the name of an image as engines list it: with its tag, and without the registry that is the default. Pure.
std::string image_name(std::string reference);
// Returns what another engine needs to know the image again: its name, a space and its id. The id is needed because
// another machine may have an older image of the same name. For an image that bottle makes, the time when it was made
// follows, in seconds since 1970. For an image whose `reference` is not a tag, such as a digest, it is only the id.
// Fails with Code::not_found if there is no such image.
Result<std::string> image_identity(docker::Engine& engine, const std::string& reference);
// The most identities that a hello takes.
inline constexpr size_t kMostIdentities = 5000;
// Returns the identities of all images with a name, and of as many without one as there is room for in a hello.
// `images` comes from Engine::images().
std::vector<std::string> image_identities(const nlohmann::json& images);
// Returns whether an engine that has the images `there` has this one, or a later one of the same name if bottle makes
// it. `identity` may be only the name if nothing more is known. Pure.
bool has_identity(const std::vector<std::string>& there, const std::string& identity);
// Returns the name in an identity. If it has none, returns the id, which engines accept like a name.
inline std::string reference_of(const std::string& identity) { return identity.substr(0, identity.find(' ')); }

// Returns the id in an identity, or an empty text if it is only a name.
std::string id_in(const std::string& identity);

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

// Returns the images that a start would use today and whose agent was installed more than 30 days before `now`
// (seconds since 1970). Such an agent lacks its vendor's later fixes. Pure.
std::vector<OwnImage> with_old_agents(const std::vector<OwnImage>& images, int64_t now);

}  // namespace bottle::session
