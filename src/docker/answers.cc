#include "docker/answers.h"

#include "docker/call.h"

namespace bottle::docker {

std::optional<Exit> exit_of(const nlohmann::json& container) {
  const auto& state = member(container, "State");
  const auto& status = member(state, "ExitCode");
  if (!status.is_number_integer()) return std::nullopt;
  return Exit{member(state, "OOMKilled") == true, status.get<int>()};
}

}  // namespace bottle::docker
