// Names and labels of everything a session makes.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "session/ledger.h"

namespace bottle::session {

inline constexpr const char* kEgressNetwork = "bottle-egress";

struct Names {
  std::string agent, guard, network;
  explicit Names(const std::string& session)
      : agent("bottle-" + session + "-agent"), guard("bottle-" + session + "-guard"), network("bottle-" + session) {}
};

inline nlohmann::json labels(const std::string& session, const Owner& owner, const std::string& role) {
  return {{"bottle.session", session}, {"bottle.owner", owner.to_label()}, {"bottle.role", role}};
}

}  // namespace bottle::session
