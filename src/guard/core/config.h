// Defines the guard's compiled configuration, which is immutable except for caches. Connections keep the
// configuration that they began with.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "guard/budget/limits.h"
#include "guard/core/injection_policy.h"
#include "guard/core/scanner.h"
#include "guard/core/secret_policy.h"
#include "guard/core/secrets.h"
#include "policy/address.h"
#include "policy/host.h"
#include "policy/rules.h"
#include "wire/guard/config.h"

struct ssl_ctx_st;

namespace bottle::guard {

// Describes a host of `ssh`, to which a tunnel is allowed if the server proves that it has this key.
struct SshHost {
  policy::Host host;
  uint16_t port = 22;
  std::string key;  // the decoded blob
};

// Describes a service of the local network, under a name that exists only in the bottle.
struct LanRoute {
  policy::Endpoint to;
  uint16_t port = 80;  // the port that the agent asks for; 443 if the service speaks TLS
};

// Describes the HTTP proxy through which all hosts without a fixed address are reached.
struct ParentProxy {
  policy::Host host;
  uint16_t port = 0;
  std::string authorization;  // the value of Proxy-Authorization, or empty
};

// Holds the configuration. compile() makes it, all connections that began under it share it, and it is freed with the
// last of them.
struct Config {
  std::vector<policy::Endpoint> listen;
  std::optional<policy::Endpoint> dns;
  std::map<std::string, policy::Address> names;
  policy::Rules rules;
  std::map<std::string, std::vector<policy::Endpoint>> hosts;  // port 0 means the requested port
  std::map<std::string, LanRoute> lan;
  SecretPolicy on_secret;
  InjectionPolicy on_injection;
  Limits limits;
  std::optional<ParentProxy> parent;
  std::string resolver;  // ip:port, or empty for /etc/resolv.conf
  std::string roots;     // PEM of ca_bundle and extra_ca
  Secrets secrets;
  std::unique_ptr<Scanner> scanner;
  std::vector<SshHost> ssh;
  std::vector<policy::HostPattern> relay;     // hosts that the guard reaches only through streams to the near side
  bool relay_all = false;                     // all hosts are relayed, because the guard has no network
  std::vector<policy::Prefix> host_networks;  // the networks of the guard's machine, which names may not lead into
  std::string unrecorded;  // why the owner cannot record anything, so that nothing may be let through; otherwise empty
  bool ssh_agent = false;  // whether the owner of the control channel answers for an ssh-agent
  bool http2 = true;       // whether inspected connections may speak HTTP/2
  int64_t idle_ms = 3600 * 1000;

  Config() = default;
  Config(const Config&) = delete;
  ~Config();

  // Return the endpoints of `hosts` for this host, the LAN service of that name and port, and whether the host is
  // reached only through the near side. Null means that there are none.
  const std::vector<policy::Endpoint>* fixed(const policy::Host& host) const;
  const LanRoute* lan_route(const policy::Host& host, uint16_t port) const;
  bool relayed(const policy::Host& host) const;
  // Returns why a name may not lead to that address, or an empty string if it may.
  std::string_view refusal(const policy::Address& address) const;
  // Returns the beginning of a text that a peer chose, in a form that the record may contain: with asterisks in place
  // of all secrets and credentials.
  std::string recordable(std::string_view text) const;
  // Returns the host of `ssh` with this name and port, or null.
  const SshHost* ssh_host(const policy::Host& host, uint16_t port) const;
  // Returns the context for upstream TLS, or null if the roots cannot be parsed. Parses the roots at the first use.
  ssl_ctx_st* upstream_tls() const;

 private:
  mutable ssl_ctx_st* upstream_tls_ = nullptr;
};

// Fails with Code::invalid and says what is wrong, but never quotes a secret's value.
Result<std::shared_ptr<Config>> compile(const wire::GuardConfig& wanted);

}  // namespace bottle::guard
