// Provides the image that an agent's container is made from if one can be kept: the agent's image, plus everything that
// is the same for each session. The engine then has nothing to unpack at a start
// (docs/decisions/014-the-ready-image.md).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "docker/engine.h"
#include "docker/tar/tar.h"
#include "session/ledger/names.h"

namespace bottle::session {

// Describes a directory that belongs to the agent's user.
struct AgentDirectory {
  std::string path;  // in an archive, so without the slash at its beginning
  int mode;
};

// Describes what the container of each session begins with.
struct ReadyParts {
  std::string base, base_id;  // the agent's image: its reference and its id
  std::string_view inside;    // the inside helper; from program_for()
  uint32_t uid = 0, gid = 0;  // of the agent's user
  std::vector<AgentDirectory> directories = {};
};

// Returns the reference of the image, existing or not. It names everything that the image depends on, so an engine that
// has it has exactly this image. Pure.
std::string ready_reference(const ReadyParts& parts);
// Returns whether an image has this reference, of whatever version. Pure.
inline bool is_ready_image(std::string_view reference) { return reference.starts_with("bottle-ready:"); }
// The label of a ready image with the reference and the id of the agent's image that it was made from, with a space
// between them.
inline constexpr const char* kReadyOf = "bottle.ready-of";

// Returns whether these parts can be in an image. They cannot if the agent's image declares a volume where one of them
// is: the engine would put them into the volume, which is not a part of the image. The agent's image must also have a
// name, because an engine does not list an image without one if another was made from it. `base` is the engine's
// description of the agent's image. Pure.
bool can_be_ready(const nlohmann::json& base, const ReadyParts& parts);

// Writes the parts to an archive for the root of a container, without ending it.
Result<> put_ready_parts(docker::TarWriter& tar, const ReadyParts& parts);

// Makes the image, from a container with this name and these labels, and removes earlier images of the same agent's
// image, user and directories. The caller must remove the container, even after an error. Blocks.
Result<> make_ready_image(docker::Engine& engine, const std::string& container, const Labels& labels,
                          const ReadyParts& parts);

}  // namespace bottle::session
