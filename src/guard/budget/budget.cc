// Keeps an account for each host, and a sum for each limit. The owner gets the accounts, which survive this guard.
// The sums are compared with the limits. They follow from the accounts, and are computed again when the limits
// change, so that a new limit also covers what was used before.
//
// The agent chooses hosts, so the number of accounts is limited. Hosts beyond that share one account, except the few
// for which the configuration has a separate limit.
#include "guard/budget/budget.h"

#include <algorithm>
#include <cstdio>
#include <span>
#include <utility>

namespace bottle::guard {
namespace {

using wire::Quantity;

// Returns a limit in the words of the operator, to stand after "the limit of ".
std::string amount(Quantity quantity, uint64_t most) {
  if (quantity == Quantity::cost) {
    char text[40];
    std::snprintf(text, sizeof text, "an estimated cost of %.2f", static_cast<double>(most) / 1e6);
    return text;
  }
  static constexpr const char* kWhat[] = {" requests", " bytes up", " names", " tokens", ""};
  return std::to_string(most) + kWhat[static_cast<size_t>(quantity)];
}

}  // namespace

uint64_t Budget::State::left(Quantity quantity) const {
  uint64_t most = limit.most.of(quantity);
  return most ? most - std::min(most, used.of(quantity)) : UINT64_MAX;
}

void Budget::State::add(const wire::HostUsage& step) {
  used.of(Quantity::requests) += step.requests;
  used.of(Quantity::bytes_up) += step.bytes_up;
  used.of(Quantity::names) += step.names;
  used.of(Quantity::tokens) += step.tokens_in + step.tokens_out;
  used.of(Quantity::cost) += step.cost;
}

void Budget::resume(const std::vector<wire::HostUsage>& used) {
  for (const auto& each : used) accounts_[each.host].used = each;
}

void Budget::use(std::vector<Limit> limits) {
  std::vector<State> before = std::exchange(states_, {});
  for (auto& limit : limits) {
    State& state = states_.emplace_back(State{.limit = std::move(limit)});
    auto old = std::ranges::find_if(before, [&](const State& each) { return each.limit.of == state.limit.of; });
    if (old == before.end()) continue;
    for (size_t i = 0; i < state.told.size(); ++i)
      // The operator already knows about a limit that was reached, unless it was raised since.
      state.told[i] = old->told[i] && old->limit.most.most[i] == state.limit.most.most[i];
  }
  for (auto& [name, account] : accounts_) {
    // The name of the shared account is not a valid host; limits_of() handles it.
    account.limits = limits_of(policy::normalise_host(name).value_or(policy::Host{name}));
    for (size_t each : account.limits) states_[each].add(account.used);
  }
}

// Returns the positions of the limits that count for a host. For the shared account, these are all that may cover one
// of its hosts.
std::vector<size_t> Budget::limits_of(const policy::Host& host) const {
  std::vector<size_t> list;
  for (size_t i = 0; i < states_.size(); ++i) {
    const Limit& limit = states_[i].limit;
    if (host.name == wire::kOtherHosts ? limit.is_wide() : limit.covers(host)) list.push_back(i);
  }
  return list;
}

// Returns the account of a host without one.
Budget::Account& Budget::open(const policy::Host& host, const std::vector<size_t>& limits) {
  bool own = std::ranges::any_of(limits, [&](size_t each) { return !states_[each].limit.is_wide(); });
  std::string name = own || accounts_.size() < kMostHosts ? host.name : wire::kOtherHosts;
  auto [found, fresh] = accounts_.try_emplace(name);
  Account& account = found->second;
  if (!fresh) {
    ++account.used.names;  // the host may have been counted before, but it has no separate account
    return account;
  }
  account.used.host = name;
  account.limits = name == host.name ? limits : limits_of({name, false});
  return account;
}

Budget::Admission Budget::admit(const policy::Host& host, uint64_t bytes, uint64_t coming) {
  auto found = accounts_.find(host.name);
  bool fresh = found == accounts_.end();
  std::vector<size_t> limits = fresh ? limits_of(host) : found->second.limits;
  // A request needs at least one of each quantity. Tokens and costs are known only afterward.
  const std::pair<Quantity, uint64_t> needs[] = {{Quantity::names, fresh ? 1u : 0u},
                                                 {Quantity::requests, 1},
                                                 {Quantity::bytes_up, std::max<uint64_t>(bytes + coming, 1)},
                                                 {Quantity::tokens, 1},
                                                 {Quantity::cost, 1}};
  // All limits are checked before anything is counted, so a refused request leaves no trace in the counts.
  for (size_t each : limits)
    for (auto [quantity, needed] : needs)
      if (needed > states_[each].left(quantity)) return {nullptr, hit(states_[each], quantity)};
  Account& account = fresh ? open(host, limits) : found->second;
  wire::HostUsage step{.names = fresh ? 1u : 0u, .requests = 1, .bytes_up = bytes};
  // A host without a separate account counts under the limits of the shared account.
  for (size_t each : account.limits) states_[each].add(step);
  ++account.used.requests;
  account.used.bytes_up += bytes;
  change(account);
  return {&account, {}};
}

void Budget::take_back_request(Account& account) {
  for (size_t each : account.limits) --states_[each].used.of(Quantity::requests);
  --account.used.requests;
  change(account);
}

bool Budget::add_bytes(Account& account, uint64_t bytes) {
  if (bytes == 0) return true;
  if (bytes > bytes_left(account)) return false;
  for (size_t each : account.limits) states_[each].used.of(Quantity::bytes_up) += bytes;
  account.used.bytes_up += bytes;
  change(account);
  return true;
}

uint64_t Budget::bytes_left(const Account& account) const {
  uint64_t left = UINT64_MAX;
  for (size_t each : account.limits) left = std::min(left, states_[each].left(Quantity::bytes_up));
  return left;
}

void Budget::add_tokens(Account& account, const TokenUsage& usage, uint64_t cost) {
  wire::HostUsage step{.names = 0, .tokens_in = usage.read(), .tokens_out = usage.output, .cost = cost};
  for (size_t each : account.limits) states_[each].add(step);
  account.used.tokens_in += step.tokens_in;
  account.used.tokens_out += step.tokens_out;
  account.used.cost += cost;
  change(account);
}

std::string Budget::end_by_bytes(const Account& account) {
  uint64_t left = bytes_left(account);
  for (size_t each : account.limits)
    if (states_[each].limit.most.of(Quantity::bytes_up) && states_[each].left(Quantity::bytes_up) == left)
      return hit(states_[each], Quantity::bytes_up);
  return "";
}

// Returns why the limit refuses something. The owner is told only the first time, because the agent may try again and
// again.
std::string Budget::hit(State& state, Quantity quantity) {
  uint64_t most = state.limit.most.of(quantity);
  if (!std::exchange(state.told[static_cast<size_t>(quantity)], true))
    hits_.push_back({state.limit.of, quantity, most});
  std::string of = state.limit.of.empty() ? "the session's limit of " : "the limit of ";
  of += amount(quantity, most);
  if (!state.limit.of.empty()) of += " for " + state.limit.of;
  return of + " is reached, until the operator raises it";
}

void Budget::change(Account& account) {
  if (!std::exchange(account.changed, true)) changed_.push_back(&account);
}

std::vector<wire::HostUsage> Budget::take_changed() {
  std::vector<wire::HostUsage> list;
  size_t count = std::min(changed_.size(), wire::Usage::kMostHosts);
  // Takes the accounts from the end, because removing them there costs nothing. The order does not matter to the
  // owner.
  for (Account* each : std::span(changed_).last(count)) {
    list.push_back(each->used);
    each->changed = false;
  }
  changed_.resize(changed_.size() - count);
  return list;
}

}  // namespace bottle::guard
