// All decisions are counted. Only those that would change are also kept, grouped by request, up to a limit. A record
// may stand for more decisions than it has lines, because one line can count many.
#include "app/egress/replay.h"

#include <algorithm>
#include <variant>

#include "session/audit/audit_chain.h"
#include "wire/guard/control.h"

namespace bottle::app {
namespace {

// Adds without overflow: a remote machine may have written the record, so a count can be any number.
void add_to(uint64_t& sum, uint64_t count) {
  if (__builtin_add_overflow(sum, count, &sum)) sum = UINT64_MAX;
}

}  // namespace

void Replay::add_line(std::string_view line) {
  if (auto decision = wire::decode<wire::Decision>(line, wire::From::ours)) return add(*decision);
  // A guard that runs alone writes its decisions as messages of the control channel.
  auto message = wire::decode<wire::FromGuard>(line, wire::From::ours);
  if (!message) {
    ++unreadable;
    return add_to(unjudged, 1);
  }
  if (const auto* decision = std::get_if<wire::Decision>(&*message)) add(*decision);
}

uint64_t Replay::decisions() const {
  uint64_t sum = same;
  for (uint64_t each : {refused, allowed, unjudged}) add_to(sum, each);
  return sum;
}

// The guard judges what a name carries when it dials. For a request of http://, it has then already recorded that the
// rules allow the request, so a refusal under the new policy is not a change.
void Replay::take_back(const wire::Decision& decision, uint64_t count) {
  Key key{
      CandidatePolicy::Change::refused, decision.kind, decision.host, decision.port, decision.method, decision.path};
  auto found = changes.find(key);
  if (found == changes.end() || found->second.verdict.code != decision.code) return;
  count = std::min({count, found->second.count, refused});
  refused -= count;
  add_to(same, count);
  found->second.count -= count;
  if (found->second.count == 0) changes.erase(found);
}

void Replay::add(const wire::Decision& decision) {
  using Change = CandidatePolicy::Change;
  if (decision.action == wire::DecisionAction::close || decision.is_end()) return;
  uint64_t count = std::max<uint64_t>(decision.count, 1);
  // Other actions stand for decisions that are not in the record.
  if (!decision.is_allow() && !decision.is_deny()) return add_to(unjudged, count);
  if (decision.code == "name_carries_data" && decision.is_deny()) take_back(decision, count);
  auto replayed = policy_.replay(decision);
  switch (replayed.change) {
    case Change::none:
      return add_to(same, count);
    case Change::unjudged:
      return add_to(unjudged, count);
    case Change::refused:
      add_to(refused, count);
      break;
    case Change::allowed:
      add_to(allowed, count);
      break;
  }
  Key key{replayed.change, decision.kind, decision.host, decision.port, decision.method, decision.path};
  auto found = changes.find(key);
  if (found == changes.end() && changes.size() == kMostChanges) {
    return add_to(more, count);
  }
  auto& changed = changes[key];
  add_to(changed.count, count);
  changed.verdict = std::move(replayed.verdict);
}

}  // namespace bottle::app
