// Reads the engine's answers, which are JSON of any shape, into types. A member that is missing or of another type
// reads as absent, so that nothing an engine says can throw.
#pragma once

#include <optional>

#include <nlohmann/json.hpp>

namespace bottle::docker {

// How a container ended.
struct Exit {
  bool is_out_of_memory = false;
  int status = 0;
};
// `container` is the answer of Engine::inspect_container(). Returns nothing if the answer does not say.
std::optional<Exit> exit_of(const nlohmann::json& container);

}  // namespace bottle::docker
