// A guard on the operator's machine, for a bottle on another one: it holds the secrets that stay here, and is the only
// way to the services of the operator's network that the manifest names. It listens nowhere: connections are handed to
// it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/os/process.h"
#include "base/unique_fd.h"
#include "pki/root.h"
#include "plan/plan.h"
#include "policy/address.h"

namespace bottle::remote {

// What the broker may do: the plan's rules, as far as they speak of hosts that have a secret bound or of LAN services;
// or all of them.
struct BrokerSettings {
  std::string ca_bundle, extra_ca;
  std::map<std::string, std::string> secrets;  // empty: only LAN services
  std::vector<policy::Prefix> host_networks;   // of this machine (host_routes.h)
  bool all = false;                            // all the rules: the other machine has no network of its own
};
nlohmann::json broker_config(const plan::Plan& plan, const BrokerSettings& settings);

class Broker {
 public:
  // Blocking, some milliseconds. `root` certifies its authority.
  static Result<std::unique_ptr<Broker>> start(const nlohmann::json& config, const pki::Root& root);

  Result<> configure(const nlohmann::json& config);  // anew, for the connections to come
  Result<UniqueFd> connect();                        // a new connection to it, non-blocking
  int fd() const { return child_.out(); }            // readable: read() has lines, or it died
  Result<std::vector<nlohmann::json>> read();

 private:
  Broker(Child child, UniqueFd hand) : child_(std::move(child)), hand_(std::move(hand)) {}
  Child child_;
  UniqueFd hand_;
  std::string partial_;
};

}  // namespace bottle::remote
