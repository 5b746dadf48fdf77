// The supervisor's end of the guard's control channel: JSON lines over the engine's attach stream.
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

  // Every whole line that one read brings; blocks if there is nothing to read. Code::closed: the guard is gone.
  Result<std::vector<nlohmann::json>> read();

  // Blocks until {"type":"ready"}. The guard's own error line becomes the error.
  Result<nlohmann::json> await_ready(int timeout_ms);

 private:
  docker::Attached attached_;
  docker::Demux demux_;
  std::string partial_;
};

// The guard's `configure` message: egress and secrets of the plan with their values.
struct GuardSettings {
  std::string guard_ip;
  std::string ca_bundle, extra_ca;
  std::map<std::string, std::string> secrets;  // name → value
  bool far = false;                            // LAN services are at the other end of the relay
  bool tunnel = false;                         // and so are the values of all secrets
  bool relay_all = false;                      // and so is every host: there is no network here
  std::vector<policy::Prefix> host_networks;   // of the machine that this guard runs on (host_routes.h)
};
// What a LAN service means for a guard.
nlohmann::json lan_rule(const manifest::LanRoute& route);
nlohmann::json texts_of(const std::vector<policy::Prefix>& networks);
nlohmann::json guard_config(const plan::Plan& plan, const GuardSettings& settings);

}  // namespace bottle::session
