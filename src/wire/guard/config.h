// Defines a guard's configuration: the `config` of its `configure` message, and the file of a guard that runs alone
// (ARCHITECTURE.md, "The guard's control channel"). guard/core/config.h compiles it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "policy/on_finding.h"
#include "wire/codec/codec.h"
#include "wire/guard/usage.h"

namespace bottle::wire {

// Says which requests to a host are allowed, or denies the host.
struct GuardRule {
  std::string host;  // a name or a pattern
  std::vector<uint16_t> ports;
  std::vector<std::string> methods, paths;  // empty means all
  bool inspect = false;
  bool deny = false;
  std::optional<policy::OnSecret> on_secret = {};        // for this host; without it, the general setting applies
  std::optional<policy::OnInjection> on_injection = {};  // likewise
  GuardLimit limit = {};                                 // for all hosts of this rule together
  bool reads_usage = false;  // whether the host's answers say how many tokens of a model they cost
  bool operator==(const GuardRule&) const = default;
};

// Describes a service of the operator's network, under the name that it has in the bottle.
struct GuardLanRoute {
  std::string name, to;  // `to` is ip:port
  std::vector<std::string> methods, paths;
  bool tls = false;
  bool operator==(const GuardLanRoute&) const = default;
};

// Describes a secret of the session, with its value.
struct GuardSecret {
  std::string name;
  std::string value;     // of a relayed secret only if it is exposed, so that the guard looks for it
  bool relayed = false;  // whether the broker inserts the value, and this guard only passes on the placeholder
  bool exposed = false;  // whether the agent has the value, so that answers may contain it
  std::string placeholder;
  std::vector<std::string> hosts;
  std::string header;                        // "Authorization: Bearer {}"
  std::vector<std::string> in = {"header"};  // header | query | body
  std::vector<std::string> beside = {};      // headers with the agent's own credentials that may go with it
  bool operator==(const GuardSecret&) const = default;
};

// Holds a value that must not leave the bottle and that the guard never inserts.
struct GuardKnownSecret {
  std::string name, value;
  bool operator==(const GuardKnownSecret&) const = default;
};

// Holds the operator's own rules for credentials.
struct GuardOwnRules {
  std::string text;      // in the format of docs/rules.md
  std::string database;  // the result of scan::compile() for it, in hexadecimal; empty if no rule has a pattern
  bool operator==(const GuardOwnRules&) const = default;
};
void fields(Object& o, GuardOwnRules& rules);

// Describes an ssh server that the agent may reach. The guard compares the server's key with this one.
struct GuardSshHost {
  std::string host;
  uint16_t port = 22;
  std::string key;  // "ssh-ed25519 AAAA…"
  bool operator==(const GuardSshHost&) const = default;
};

// Holds the rules and settings for what leaves the bottle.
struct GuardEgress {
  std::vector<GuardRule> allow;
  std::vector<GuardLanRoute> lan;
  policy::OnSecret on_secret = policy::OnSecret::block;
  std::map<std::string, policy::OnSecret> on_secret_for;  // for a rule of src/scan or a secret, by its name
  std::vector<std::string> allowed_secrets;               // fingerprints of credentials that may leave
  policy::OnInjection on_injection = policy::OnInjection::warn;
  GuardLimit limit = {};  // for the session
  std::vector<GuardPrice> prices = {};
  std::map<std::string, std::vector<std::string>> hosts;  // name → its fixed addresses, ip or ip:port
  std::string parent_proxy;                               // http://host:port; empty if there is none
  std::string parent_login;      // user:password for that proxy, not encoded; empty if there is none
  std::string extra_ca;          // PEM
  std::string resolver;          // ip:port; empty means the system's
  bool http2 = true;             // whether inspected connections may speak HTTP/2
  uint32_t idle_seconds = 3600;  // a connection that is idle for this long is closed
  bool operator==(const GuardEgress&) const = default;
};

// Holds the whole configuration of a guard. It contains values of secrets, so it is never in the container's
// settings.
struct GuardConfig {
  static constexpr const char* kName = "guard's configuration";
  static constexpr size_t kMost = 16 << 20;
  std::vector<std::string> listen;           // ip:port
  std::string dns;                           // ip:port; empty means that the guard serves no names
  std::map<std::string, std::string> names;  // names that the name server answers itself, with their addresses
  GuardEgress egress;
  std::string ca_bundle;  // PEM of the public roots
  std::vector<GuardSecret> secrets;
  std::vector<GuardKnownSecret> known = {};
  GuardOwnRules own_rules = {};
  std::vector<std::string> models;  // hosts of the agent's model
  std::vector<GuardSshHost> ssh;
  std::vector<std::string> relay;          // hosts that are reached only by streams; "*" means all
  std::vector<std::string> host_networks;  // of its machine ("20.30.41.0/24"); names must not resolve to them
  std::string unrecorded;                  // if not empty, the guard refuses everything, for this reason
  std::vector<HostUsage> used = {};  // what was used before this guard started; read only from its first configuration
  bool ssh_agent = false;            // whether the owner of the control channel answers ssh-agent requests
  bool operator==(const GuardConfig&) const = default;
};
// A missing key has its default, so that the file of a guard that runs alone can be short.
void fields(Object& o, GuardConfig& config);

}  // namespace bottle::wire
