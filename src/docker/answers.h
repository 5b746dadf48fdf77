// Reads the engine's answers, which can be JSON of any shape. A member that is missing or has another type counts as
// absent, so that no answer can make the reader throw.
#pragma once

#include <optional>
#include <string>

#include <nlohmann/json.hpp>

namespace bottle::docker {

// Returns a member of an answer, or null if there is none. nlohmann's own accessors throw if the type is unexpected.
const nlohmann::json& member(const nlohmann::json& object, const char* name);
// Returns a member that is a string, or `otherwise`. The text comes from the engine or from other clients of it; it
// must not reach a terminal or a path unchecked.
std::string text_of(const nlohmann::json& object, const char* name, std::string otherwise = {});

// Says how a container ended.
struct Exit {
  bool is_out_of_memory = false;
  int status = 0;
};
// Reads how a container ended from the answer of Engine::inspect_container(). Returns nothing if it does not say.
std::optional<Exit> exit_of(const nlohmann::json& container);

// Returns whether the answer of Engine::inspect_container() says that no process runs in the container: it was never
// started, or it has ended. A container whose state is missing or unknown may run.
bool is_at_rest(const nlohmann::json& container);

}  // namespace bottle::docker
