// Names and labels of everything a session makes.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "session/ledger/ledger.h"

namespace bottle::session {

inline constexpr const char* kEgressNetwork = "bottle-egress";

struct Names {
  std::string agent, guard, network, home, work;
  std::string trial;       // what tries a runtime, or builds an image; in a session of its own
  std::string unfinished;  // the image that such a build begins with
  explicit Names(const std::string& session)
      : agent("bottle-" + session + "-agent"),
        guard("bottle-" + session + "-guard"),
        network("bottle-" + session),
        home("bottle-" + session + "-home"),
        work("bottle-" + session + "-work"),
        trial("bottle-" + session + "-trial"),
        unfinished("bottle-unfinished:" + session) {}

  // In the order in which they are made.
  std::vector<Thing> things() const {
    return {{"network", network}, {"volume", home}, {"volume", work}, {"container", guard}, {"container", agent}};
  }

  // Whether a session of that name makes such a thing on the engine.
  bool has(const Thing& thing) const {
    return thing == Thing{"container", trial} || thing == Thing{"image", unfinished} ||
           std::ranges::count(things(), thing) > 0;
  }
};

// All of them are set on everything that is made, so that those an image brings count for nothing. They say to others
// whose a thing is; to us they prove nothing unless a ledger of ours names the thing too. `ledger`: the session's
// directory.
inline nlohmann::json labels(const std::string& session, const Owner& owner, const std::string& ledger,
                             const std::string& role) {
  return {{"bottle.session", session},
          {"bottle.owner", owner.to_label()},
          {"bottle.ledger", ledger},
          {"bottle.role", role}};
}

}  // namespace bottle::session
