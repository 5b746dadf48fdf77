// Runs a broker, which is a guard on the operator's machine for a bottle on another one. It holds the secrets that stay
// on this machine, and it is the only way to the services of the operator's network that the manifest names. It listens
// on no port: connections are passed to it.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/os/process.h"
#include "base/unique_fd.h"
#include "pki/root.h"
#include "plan/plan.h"
#include "policy/address.h"
#include "session/policy/policy_change.h"
#include "wire/guard/control.h"

namespace bottle::remote {

// Describes what the broker may do. It applies the plan's rules for hosts that have a secret bound and for LAN
// services, or all rules.
struct BrokerSettings {
  std::string ca_bundle, extra_ca;
  std::map<std::string, std::string> secrets;      // if empty, only LAN services are allowed
  std::vector<policy::Prefix> host_networks;       // networks of this machine (host_routes.h)
  bool offline = false;                            // apply all rules, because the other machine has no network
  std::vector<wire::GuardKnownSecret> known = {};  // session::known_secrets()
  wire::GuardOwnRules own_rules = {};
};
// Holds the rules of the session, and the hosts that the broker serves.
struct BrokerRules {
  std::vector<wire::GuardRule> session;
  session::Services services;
  std::optional<std::set<std::string>> served;  // names and patterns; nullopt means every host

  // Returns the rules for the hosts that the broker serves. To each of those hosts, the same rules apply as in the
  // session.
  std::vector<wire::GuardRule> narrowed() const;
};

// Return the broker's rules and its configuration. It allows nothing that the plan does not allow. Pure.
BrokerRules broker_rules(const plan::Plan& plan, const BrokerSettings& settings);
wire::GuardConfig broker_config(const plan::Plan& plan, const BrokerSettings& settings);

// Owns a running broker. The destructor ends it and all connections to it.
class Broker {
 public:
  // Starts the broker by running `program broker`. Blocks for a few milliseconds, and for at most `patience_ms`, as
  // each later call does. `root` certifies its authority.
  static Result<std::unique_ptr<Broker>> start(const std::string& program, const wire::GuardConfig& config,
                                               const pki::Root& root, int patience_ms = 15000);

  // Changes the configuration for later connections. Blocks for at most two seconds. After an error, the broker may
  // still use the old one, so the caller must end the broker.
  Result<> configure(const wire::GuardConfig& config);
  // Tells the broker to end. It first writes the counts of its last refusals, so read() until it fails.
  Result<> end();
  Result<UniqueFd> connect();              // returns a new connection to the broker, non-blocking
  int fd() const { return child_.out(); }  // readable when read() has messages or the broker has died
  // Returns the messages that have come, perhaps none. Fails with Code::closed if the broker has exited, and
  // with Code::limit if it writes a line that is too long.
  Result<std::vector<wire::FromGuard>> read();

 private:
  Broker(Child child, UniqueFd hand) : child_(std::move(child)), hand_(std::move(hand)) {}
  Result<> send(const wire::ToGuard& message, int patience_ms);
  Child child_;
  UniqueFd hand_;
  std::string partial_;
};

}  // namespace bottle::remote
