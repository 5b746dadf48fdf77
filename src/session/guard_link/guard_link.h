// This file is the supervisor's end of the guard's control channel: JSON lines over the engine's attach stream.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "docker/engine.h"
#include "plan/plan.h"
#include "policy/address.h"

namespace bottle::session {

class GuardLink {
 public:
  explicit GuardLink(docker::Attached attached) : attached_(std::move(attached)) {}

  int fd() const { return attached_.fd(); }
  Result<> send(const nlohmann::json& message);

  // Returns every whole line that one read brings. Blocks if there is nothing to read. Fails with Code::closed if the
  // guard is gone.
  Result<std::vector<nlohmann::json>> read();

  // Blocks until the guard sends {"type":"ready"}. Fails with the guard's own error if it sends one.
  Result<nlohmann::json> await_ready(int timeout_ms);

 private:
  docker::Attached attached_;
  docker::Demux demux_;
  std::string partial_;
};

// Describes what guard_config() adds to the plan's egress and secrets to make the guard's `configure` message.
struct GuardSettings {
  std::string guard_ip;
  std::string ca_bundle, extra_ca;
  std::map<std::string, std::string> secrets;  // from name to value
  bool far = false;                            // LAN services are at the other end of the relay
  bool tunnel = false;                         // the values of all secrets are at the other end of the relay
  bool relay_all = false;  // this machine has no network, so every host is at the other end of the relay
  std::vector<policy::Prefix> host_networks;  // networks of the machine that this guard runs on (host_routes.h)
};
// Returns the guard's rule for a LAN service.
nlohmann::json lan_rule(const manifest::LanRoute& route);
nlohmann::json texts_of(const std::vector<policy::Prefix>& networks);
nlohmann::json guard_config(const plan::Plan& plan, const GuardSettings& settings);

}  // namespace bottle::session
