// Defines the names and labels of everything that a session makes.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "session/ledger/ledger.h"

namespace bottle::session {

// All guards share this bridge. It belongs to no session and is never removed.
inline constexpr const char* kEgressNetwork = "bottle-egress";

// Holds the names of all things that a session may make on the engine. They follow from the session's name alone, so a
// ledger can be checked against them.
struct Names {
  std::string agent, guard, network, home, work;
  std::string meter;       // a container that counts what the agent wrote, from time to time
  std::string trial;       // a container that tries a runtime, in a separate session
  std::string build;       // a container that builds an image, in a separate session
  std::string unfinished;  // the image that such a build begins with
  explicit Names(const std::string& session)
      : agent("bottle-" + session + "-agent"),
        guard("bottle-" + session + "-guard"),
        network("bottle-" + session),
        home("bottle-" + session + "-home"),
        work("bottle-" + session + "-work"),
        meter("bottle-" + session + "-meter"),
        trial("bottle-" + session + "-trial"),
        build("bottle-" + session + "-build"),
        unfinished("bottle-unfinished:" + session) {}

  // Returns the things of a session in the order in which they are made. Most sessions need no meter.
  std::vector<Thing> things() const {
    return {{ThingKind::network, network}, {ThingKind::volume, home},     {ThingKind::volume, work},
            {ThingKind::container, guard}, {ThingKind::container, agent}, {ThingKind::container, meter}};
  }

  // Returns whether a session of that name makes such a thing on the engine.
  bool has(const Thing& thing) const {
    return thing == Thing{ThingKind::container, trial} || thing == Thing{ThingKind::container, build} ||
           thing == Thing{ThingKind::image, unfinished} || std::ranges::count(things(), thing) > 0;
  }
};

using Labels = std::map<std::string, std::string>;
// Returns the value of a label, or an empty string.
inline std::string value_of(const Labels& labels, const std::string& key) {
  auto found = labels.find(key);
  return found == labels.end() ? "" : found->second;
}

// Returns the labels for everything that a session makes. All of them are always set, so that labels from an image have
// no effect. They tell other programs which session owns a thing. bottle trusts them only if one of its ledgers names
// the thing too. `ledger` is the session's directory.
inline Labels labels(const std::string& session, const Owner& owner, const std::string& ledger,
                     const std::string& role) {
  return {{"bottle.session", session},
          {"bottle.owner", owner.to_label()},
          {"bottle.ledger", ledger},
          {"bottle.role", role}};
}

}  // namespace bottle::session
