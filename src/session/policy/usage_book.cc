// Keeps the latest totals for each host, from which the next guard continues if this one dies. The number of hosts is
// limited, because an agent chooses them; the hosts beyond a limit are joined into one entry, so that no usage is
// lost.
#include "session/policy/usage_book.h"

#include <algorithm>
#include <tuple>

namespace bottle::session {
namespace {

void join(wire::HostUsage& to, const wire::HostUsage& from) {
  to.names += from.names;
  to.requests += from.requests;
  to.bytes_up += from.bytes_up;
  to.tokens_in += from.tokens_in;
  to.tokens_out += from.tokens_out;
  to.cost += from.cost;
}

// Returns the usage of the hosts, with all hosts beyond `most` as one entry.
std::vector<wire::HostUsage> at_most(size_t most, const std::map<std::string, wire::HostUsage>& hosts) {
  std::vector<wire::HostUsage> list;
  // `names` counts the hosts that the entry represents. If it stays 0, there is no such entry.
  wire::HostUsage others{.host = wire::kOtherHosts, .names = 0};
  for (const auto& [name, usage] : hosts)
    if (name == wire::kOtherHosts) join(others, usage);
    else list.push_back(usage);
  // Only the hosts of models have tokens, so these come first.
  std::ranges::sort(list, [](const auto& a, const auto& b) {
    auto rank = [](const wire::HostUsage& each) {
      return std::tuple(each.tokens_in + each.tokens_out, each.requests, each.bytes_up);
    };
    return rank(a) > rank(b);
  });
  for (size_t i = most; i < list.size(); ++i) join(others, list[i]);
  if (list.size() > most) list.resize(most);
  if (others.names) list.push_back(others);
  return list;
}

}  // namespace

void UsageBook::take(const wire::Usage& usage) {
  for (const auto& each : usage.hosts)
    // The guard sends totals, so the latest message replaces the earlier ones.
    if (hosts_.size() < kMostKept || hosts_.contains(each.host)) hosts_[each.host] = each;
}

std::vector<wire::HostUsage> UsageBook::all() const { return at_most(kMost, hosts_); }

std::vector<wire::ShownUsage> UsageBook::shown() const {
  std::vector<wire::ShownUsage> list;
  for (const auto& each : at_most(kMostShown, hosts_))
    list.push_back({each.host, each.requests, each.bytes_up, each.tokens_in, each.tokens_out,
                    static_cast<double>(each.cost) / 1e6});
  return list;
}

}  // namespace bottle::session
