// The guard's configuration, compiled. Immutable but for caches; connections keep the one they began with.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "guard/core/secrets.h"
#include "policy/address.h"
#include "policy/host.h"
#include "policy/rules.h"
#include "wire/guard/config.h"

struct ssl_ctx_st;

namespace bottle::guard {

struct SshHost {
  policy::Host host;
  uint16_t port = 22;
  std::string key;  // the blob, decoded
};

// One service of the local network under a name of the bottle's own.
struct LanRoute {
  policy::Endpoint to;
  uint16_t port = 80;  // asked for by the agent: 443 where the service speaks TLS
};

struct ParentProxy {
  policy::Host host;
  uint16_t port = 0;
  std::string authorization;  // value of Proxy-Authorization, or empty
};

struct Config {
  std::vector<policy::Endpoint> listen;
  std::optional<policy::Endpoint> dns;
  std::map<std::string, policy::Address> names;
  policy::Rules rules;
  std::map<std::string, std::vector<policy::Endpoint>> hosts;  // port 0: the port asked for
  std::map<std::string, LanRoute> lan;
  OnSecret on_secret = OnSecret::block;
  std::optional<ParentProxy> parent;
  std::string resolver;  // ip:port, or empty for /etc/resolv.conf
  std::string roots;     // PEM: ca_bundle and extra_ca
  Secrets secrets;
  std::vector<SshHost> ssh;
  std::vector<policy::HostPattern> relay;     // hosts that are reached by the relay, not from here
  bool relay_all = false;                     // as all are: there is no network here
  std::vector<policy::Prefix> host_networks;  // of the guard's machine; names may not lead there
  std::string unrecorded;  // why nothing may be let through: the owner cannot record it. Empty: it can
  bool ssh_agent = false;  // whether the owner of the control channel answers for an ssh-agent
  int64_t idle_ms = 3600 * 1000;

  Config() = default;
  Config(const Config&) = delete;
  ~Config();

  const std::vector<policy::Endpoint>* fixed(const policy::Host& host) const;
  const LanRoute* lan_route(const policy::Host& host, uint16_t port) const;
  bool relayed(const policy::Host& host) const;
  // Why a name may not lead to that address, or empty.
  std::string_view refusal(const policy::Address& address) const;
  const SshHost* ssh_host(const policy::Host& host, uint16_t port) const;
  // The context for upstream TLS; the roots are parsed at first use. Null if they cannot be.
  ssl_ctx_st* upstream_tls() const;

 private:
  mutable ssl_ctx_st* upstream_tls_ = nullptr;
};

// Code::invalid names what is wrong, never a secret's value.
Result<std::shared_ptr<Config>> compile(const wire::GuardConfig& wanted);

Result<std::string> base64_decode(std::string_view text);
std::string base64_encode(std::string_view bytes);

}  // namespace bottle::guard
