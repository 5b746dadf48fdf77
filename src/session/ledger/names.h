// Names and labels of everything a session makes.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "session/ledger/ledger.h"

namespace bottle::session {

inline constexpr const char* kEgressNetwork = "bottle-egress";

struct Names {
  std::string agent, guard, network, home, work;
  explicit Names(const std::string& session)
      : agent("bottle-" + session + "-agent"),
        guard("bottle-" + session + "-guard"),
        network("bottle-" + session),
        home("bottle-" + session + "-home"),
        work("bottle-" + session + "-work") {}

  // In the order in which they are made.
  std::vector<Thing> things() const {
    return {{"network", network}, {"volume", home}, {"volume", work}, {"container", guard}, {"container", agent}};
  }
};

// `ledger`: the session's directory, for a sweep that looks for sessions elsewhere.
inline nlohmann::json labels(const std::string& session, const Owner& owner, const std::string& ledger,
                             const std::string& role) {
  return {{"bottle.session", session},
          {"bottle.owner", owner.to_label()},
          {"bottle.ledger", ledger},
          {"bottle.role", role}};
}

}  // namespace bottle::session
