// What a guard is told to do: the `config` of its `configure` message, and the file of a guard that stands alone
// (ARCHITECTURE.md, "The guard's control channel"). This is what was asked for; guard/core/config.h has it compiled.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "wire/codec/codec.h"
#include "wire/guard/usage.h"

namespace bottle::wire {

// What a host may be used for, or that it may not be used at all.
struct GuardRule {
  std::string host;  // a name or a pattern
  std::vector<uint16_t> ports;
  std::vector<std::string> methods, paths;  // empty: all
  bool inspect = false;
  bool deny = false;
  std::string on_secret = {};     // block | redact | warn, for this host; if empty, the general setting applies
  std::string on_injection = {};  // block | warn; likewise
  GuardLimit limit = {};          // for all hosts of this rule together
  bool reads_usage = false;       // whether the host's answers say how many tokens of a model they cost
  bool operator==(const GuardRule&) const = default;
};

// A service of the local network under a name of the bottle's own.
struct GuardLanRoute {
  std::string name, to;  // to: ip:port
  std::vector<std::string> methods, paths;
  bool tls = false;
  bool operator==(const GuardLanRoute&) const = default;
};

struct GuardSecret {
  std::string name;
  std::string value;     // empty: a broker has it,
  bool relayed = false;  // and this guard only passes the placeholder on
  std::string placeholder;
  std::vector<std::string> hosts;
  std::string header;                        // "Authorization: Bearer {}"
  std::vector<std::string> in = {"header"};  // header | query | body
  std::vector<std::string> beside = {};      // headers with credentials of the agent's own that may go with it
  bool operator==(const GuardSecret&) const = default;
};

// A value that must not leave, and that the guard puts in nowhere.
struct GuardKnownSecret {
  std::string name, value;
  bool operator==(const GuardKnownSecret&) const = default;
};

// The operator's own rules for credentials.
struct GuardOwnRules {
  std::string text;      // in the format of docs/rules.md
  std::string database;  // the result of scan::compile() for it, in hexadecimal; empty if no rule has a pattern
  bool operator==(const GuardOwnRules&) const = default;
};
void fields(Object& o, GuardOwnRules& rules);

struct GuardSshHost {
  std::string host;
  uint16_t port = 22;
  std::string key;  // "ssh-ed25519 AAAA…"
  bool operator==(const GuardSshHost&) const = default;
};

struct GuardEgress {
  std::vector<GuardRule> allow;
  std::vector<GuardLanRoute> lan;
  std::string on_secret = "block";                   // block | redact | warn
  std::map<std::string, std::string> on_secret_for;  // the same for a rule of src/scan or a secret, by its name
  std::vector<std::string> allowed_secrets;          // fingerprints of credentials that may leave
  std::string on_injection = "warn";                 // block | warn: an answer that instructs the agent
  GuardLimit limit = {};                             // for the session
  std::vector<GuardPrice> prices = {};
  std::map<std::string, std::vector<std::string>> hosts;  // name → its fixed addresses, ip or ip:port
  std::string parent_proxy;                               // http://host:port; empty: none
  std::string parent_login;                               // user:password there, as they are; empty: none
  std::string extra_ca;                                   // PEM
  std::string resolver;                                   // ip:port; empty: the system's
  bool http2 = true;                                      // whether inspected connections may speak HTTP/2
  uint32_t idle_seconds = 3600;                           // a connection that carries nothing so long is closed
  bool operator==(const GuardEgress&) const = default;
};

struct GuardConfig {
  static constexpr const char* kName = "guard's configuration";
  static constexpr size_t kMost = 16 << 20;
  std::vector<std::string> listen;           // ip:port
  std::string dns;                           // ip:port; empty: no name server
  std::map<std::string, std::string> names;  // that the name server answers itself, with their addresses
  GuardEgress egress;
  std::string ca_bundle;  // PEM of the public roots
  std::vector<GuardSecret> secrets;
  std::vector<GuardKnownSecret> known = {};
  GuardOwnRules own_rules = {};
  std::vector<std::string> models;  // hosts of the agent's model
  std::vector<GuardSshHost> ssh;
  std::vector<std::string> relay;          // hosts that are reached by streams only; "*": all
  std::vector<std::string> host_networks;  // of the guard's machine, "20.30.41.0/24": names may not lead there
  std::string unrecorded;                  // why nothing may be let through, or empty
  std::vector<HostUsage> used = {};        // before this guard started; it looks only at the first
  bool ssh_agent = false;                  // the owner of the control channel answers for an ssh-agent
  bool operator==(const GuardConfig&) const = default;
};
void fields(Object& o, GuardConfig& config);

}  // namespace bottle::wire
