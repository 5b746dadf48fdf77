#include "app/egress/replay.h"

namespace bottle::app {

void Replay::add(const wire::Decision& decision) {
  using Change = CandidatePolicy::Change;
  if (decision.action != "allow" && decision.action != "deny") return;
  auto replayed = policy_.replay(decision);
  switch (replayed.change) {
    case Change::none:
      same += decision.count;
      return;
    case Change::unjudged:
      unjudged += decision.count;
      return;
    case Change::refused:
      refused += decision.count;
      break;
    case Change::allowed:
      allowed += decision.count;
      break;
  }
  Key key{replayed.change, decision.kind, decision.host, decision.port, decision.method, decision.path};
  auto found = changes.find(key);
  if (found == changes.end() && changes.size() == kMostChanges) {
    more += decision.count;
    return;
  }
  auto& changed = changes[key];
  changed.count += decision.count;
  changed.verdict = std::move(replayed.verdict);
}

}  // namespace bottle::app
