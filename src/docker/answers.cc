// Looks members up without exceptions. An engine may be anything that listens on a socket, so a missing member and
// one of the wrong type are normal cases.
#include "docker/answers.h"

namespace bottle::docker {

// Returns a reference to a constant null if there is no such member, so that calls can be nested.
const nlohmann::json& member(const nlohmann::json& object, const char* name) {
  static const nlohmann::json none;
  if (!object.is_object()) return none;
  auto it = object.find(name);
  return it == object.end() ? none : *it;
}

std::string text_of(const nlohmann::json& object, const char* name, std::string otherwise) {
  const nlohmann::json& value = member(object, name);
  return value.is_string() ? value.get<std::string>() : otherwise;
}

std::optional<Exit> exit_of(const nlohmann::json& container) {
  const auto& state = member(container, "State");
  const auto& status = member(state, "ExitCode");
  if (!status.is_number_integer()) return std::nullopt;
  return Exit{member(state, "OOMKilled") == true, status.get<int>()};
}

bool is_at_rest(const nlohmann::json& container) {
  const auto& state = member(container, "State");
  std::string status = text_of(state, "Status");
  // Podman also says "configured" instead of "created", and "stopped" instead of "exited". Its paused containers do not
  // count as running, so `Running` alone does not say enough.
  bool rests =
      status == "created" || status == "configured" || status == "exited" || status == "stopped" || status == "dead";
  return rests && member(state, "Running") == false;
}

}  // namespace bottle::docker
