// Counts decisions for `bottle egress metrics`. Agents choose the hosts, so the number of counters is limited, and
// the rest is counted under one name.
#include "session/audit/egress_counters.h"

namespace bottle::session {

void EgressCounters::add(const wire::Decision& decision) {
  std::tuple kind{std::string(word_of(decision.action)), std::string(word_of(decision.kind)), decision.code};
  // A correct guard uses few codes, but its lines could contain any.
  if (kinds_.size() >= kMostKinds && !kinds_.contains(kind)) kind = {kOthers, kOthers, kOthers};
  kinds_[kind] += decision.count;
  if (decision.host.empty()) return;
  bool has_room = hosts_.size() < kMostHosts || hosts_.contains(decision.host);
  auto& host = hosts_[has_room ? decision.host : kOthers];
  if (decision.is_allow()) host.allowed += decision.count;
  if (decision.is_deny()) host.denied += decision.count;
  if (!decision.bytes) return;
  host.bytes_out += decision.bytes->out;
  host.bytes_in += decision.bytes->in;
}

void EgressCounters::fill(wire::Metrics& metrics) const {
  for (const auto& [kind, count] : kinds_)
    metrics.decisions.push_back({std::get<0>(kind), std::get<1>(kind), std::get<2>(kind), count});
  for (const auto& [name, host] : hosts_) {
    metrics.hosts.push_back(host);
    metrics.hosts.back().host = name;
  }
}

}  // namespace bottle::session
