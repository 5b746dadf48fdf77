// Counts what the session uses, and refuses what exceeds a limit. A request is counted before any byte of it leaves,
// so that even many connections or streams together cannot exceed a limit. The counts stay when the configuration
// changes. The guard tells the owner of the control channel about each change, and the owner gives the counts to the
// next guard if this one dies. Pure. The memory is bounded, because the agent chooses the names.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "guard/budget/limits.h"

namespace bottle::guard {

inline constexpr std::string_view kLimitReached = "limit_reached";

// Holds the counts of the session. The process has one, on the loop's thread.
class Budget {
 public:
  static constexpr size_t kMostHosts = 4096;  // that are counted separately

  // Holds what was used of one host. It stays valid as long as the budget.
  struct Account {
    wire::HostUsage used;
    std::vector<size_t> limits;  // positions in the list of limits
    bool changed = false;
  };

  // Adds what was used before this guard started.
  void resume(const std::vector<wire::HostUsage>& used);
  // Replaces the limits. New limits also cover what was used before.
  void use(std::vector<Limit> limits);

  // Holds the result of admit(). The budget owns the account.
  struct Admission {
    Account* account = nullptr;  // null if a limit refuses it
    std::string reason;          // which one, for the operator
  };
  // Counts a request or a tunnel to the host, with the bytes that go up now, unless a limit has been reached.
  // `coming` is how many more bytes are known to follow; the limit must also have room for them, but they are counted
  // when they arrive.
  Admission admit(const policy::Host& host, uint64_t bytes, uint64_t coming = 0);
  // Takes back the request that admit() counted for a tunnel, because the requests in the tunnel are counted instead.
  void take_back_request(Account& account);
  // Counts bytes that go up. Returns false, and counts nothing, if they would exceed a limit.
  bool add_bytes(Account& account, uint64_t bytes);
  // Returns how many bytes may still go up.
  uint64_t bytes_left(const Account& account) const;
  // Counts the tokens of an answer, which may exceed a limit because they are known only afterward.
  void add_tokens(Account& account, const TokenUsage& usage, uint64_t cost);

  // Notes that the limit of bytes has ended a request or a tunnel. Returns the reason for the operator.
  std::string end_by_bytes(const Account& account);

  // Return what changed since the last call, at most as much as fits into one message.
  std::vector<wire::HostUsage> take_changed();
  std::vector<wire::LimitHit> take_hits() { return std::exchange(hits_, {}); }
  bool has_news() const { return !changed_.empty() || !hits_.empty(); }

 private:
  struct State {
    Limit limit;
    wire::GuardLimit used;
    std::array<bool, wire::kQuantities.size()> told{};
    // Returns how much of the quantity may still be used.
    uint64_t left(wire::Quantity quantity) const;
    // Adds what was used of a host that the limit covers.
    void add(const wire::HostUsage& step);
  };
  std::vector<size_t> limits_of(const policy::Host& host) const;
  Account& open(const policy::Host& host, const std::vector<size_t>& limits);
  void change(Account& account);
  std::string hit(State& state, wire::Quantity quantity);

  std::vector<State> states_;
  std::map<std::string, Account, std::less<>> accounts_;
  std::vector<Account*> changed_;
  std::vector<wire::LimitHit> hits_;
};

}  // namespace bottle::guard
