// Parses, merges (`extends`) and validates the manifest, in which the operator defines bottles, agents and VMs. Pure;
// the caller reads the files.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "policy/on_finding.h"

namespace bottle::manifest {

// Maps the dotted name of a key within a bottle or agent to its position, "path:line:column".
using Positions = std::map<std::string, std::string>;

// Says how the workspace gets into the bottle: not at all, as a copy of all files, as a clone of what is committed, or
// as the directory itself.
enum class WorkspaceMode { none, copy, clone, bind };

// Holds the limits of the agent's container.
struct Resources {
  uint64_t memory = 4ull << 30;  // bytes
  double cpus = 2;
  int pids = 512;
  uint64_t disk = 20ull << 30;  // bytes that the agent may write and keep
  uint64_t shm = 1ull << 30;    // bytes; a part of the memory
};

// Holds the most that a session may use of the hosts of a rule, or of all hosts; 0 means no limit.
struct Limit {
  uint64_t requests = 0, bytes_up = 0;
  uint64_t names = 0;   // distinct hosts
  uint64_t tokens = 0;  // of models, read and written
  double cost = 0;      // estimated, in the currency of the prices
  bool operator==(const Limit&) const = default;
};
inline constexpr uint64_t kMostNames = 4000;  // the guard counts a few more separately

// Holds what a million tokens of a model cost, in the operator's currency.
struct Price {
  double input = 0, output = 0, cache_read = 0, cache_write = 0;
};

// Describes one rule of `egress.allow`, or of a preset. Hosts are in lower case.
struct AllowRule {
  std::string host;                  // example.org | *.example.org | *
  std::vector<uint16_t> ports;       // empty means 443 and 80
  std::vector<std::string> methods;  // empty means any; if set, the guard inspects the host
  std::vector<std::string> paths;    // globs; ** crosses slashes; empty means any; if set, inspects the host
  bool inspect = false;
  std::optional<policy::OnSecret> on_secret = {};        // for this host; without it, the setting in Egress applies
  std::optional<policy::OnInjection> on_injection = {};  // likewise
  std::string preset =
      {};  // the preset that the rule comes from, with its version, such as "npm@1"; empty if it comes from none
  Limit limit = {};
};

// Describes a single service of the operator's network that the bottle can reach under a special name.
struct LanRoute {
  std::string name, to;  // `to` is ip:port
  std::vector<std::string> methods, paths;
  bool tls = false;  // whether the service speaks TLS, with a certificate for `name`
};

// Says what a bottle can reach, and what the guard does with what it finds.
struct Egress {
  std::vector<AllowRule> allow;
  std::vector<LanRoute> lan;
  policy::OnSecret on_secret = policy::OnSecret::block;
  std::map<std::string, policy::OnSecret> on_secret_for;  // by the name of a scanning rule or a secret
  std::vector<std::string> allowed_secrets;               // fingerprints of credentials that may leave
  policy::OnInjection on_injection = policy::OnInjection::warn;
  Limit limit;                          // for the session
  std::map<std::string, Price> prices;  // by the model's name, or by a prefix of it that ends with a star
  std::map<std::string, std::vector<std::string>>
      hosts;                          // fixed addresses: name → ip or ip:port, trusted by the operator
  std::string parent_proxy;           // http://host:port; only a guard's own file may have user:password@ in it
  std::string parent_proxy_login;     // source of its user:password, like Secret::from; not part of a plan
  std::vector<std::string> extra_ca;  // host paths of PEM files
  std::string resolver;               // ip:port; empty means the machine's
  bool http2 = true;                  // whether the guard speaks HTTP/2 where it inspects
};

// Describes a value that the guard adds to requests. Only its source is here, never the value.
struct Secret {
  std::string name, from;  // `from` is env:NAME | file:PATH | cmd:LINE | ?question
  std::vector<std::string> hosts;
  std::string header, env;
  std::string placeholder;  // what the agent holds instead; if empty, each session gets a random one
  bool expose = false;
  std::vector<std::string> in = {"header"};  // where the guard inserts the value: header | query | body
  std::vector<std::string> beside;           // headers with the agent's own credentials that may go with it
};

// Describes a host that the agent can reach by ssh. Empty texts mean the defaults of docs/manifest.md.
struct SshHost {
  std::string host, identity_file, hostname, user, known_host_key;
  uint16_t port = 22;
};

// Says what the guard looks for besides secrets and the built-in rules. The paths are on the host.
struct Scan {
  std::vector<std::string> secrets;  // files whose values must not leave
  std::vector<std::string> rules;    // files of rules for credentials (docs/rules.md)
};

// Describes a bottle with all that it inherits. Paths are absolute or begin with "~/".
struct Bottle {
  std::string name, image, dockerfile, runtime = "auto";
  std::vector<std::string> packages;
  Resources resources;
  WorkspaceMode workspace = WorkspaceMode::clone;
  std::vector<std::string> include;  // patterns of files that are sent with a clone although they are not committed
  std::vector<std::string> keep;     // patterns of files that come home although git ignores them
  std::map<std::string, std::string> env;  // literal | "${HOST_VAR}" | "?question"
  std::set<std::string> secret_env;        // names of the variables in `env` whose values must not leave
  std::map<std::string, Secret> secrets;
  Scan scan;
  Egress egress;
  std::vector<SshHost> ssh;
  Positions positions;  // of "env.STAGE", "secrets.github" and so on, for errors that are found later
};

// Pins the version of a provider's program. Empty means the newest.
struct Pin {
  std::string version, integrity;
};

// Says what runs in a bottle, and with which prompt and skills.
struct Agent {
  std::string name, bottle, provider = "claude", prompt;
  Pin pin;
  std::vector<std::string> skills;   // names under the skills directories
  std::vector<std::string> command;  // for provider: command
  std::string description;
  bool from_repository = false;  // an untrusted repository defines it
  Positions positions;           // the key "" is the agent itself
};

// Returns a description for a list of agents, which says whether the repository defines the agent.
std::string described(const Agent& agent);

// Describes a VM that is made for a session. Times are in seconds and sizes in bytes; 0 means the provider's default.
struct Vm {
  std::string name, provider;
  uint64_t ttl = 0, idle = 0, memory = 0, disk = 0;
  double cpus = 0;
  bool allow_vpn = false;  // accepts a VM with a VPN, although the VPN may lead back to the operator
  std::map<std::string, std::string> options;  // only for the provider
};

// Says why an agent of the repository cannot be used. `name` is the agent's, or its file's without the ending, or empty
// if none of the repository's agents can be used.
struct Unusable {
  std::string name;
  Error why;
};

// Holds all definitions by name. Every agent's bottle is among `bottles`. A mistake in the repository's agents makes
// them unusable and does not concern the operator's own, because anyone may have written the repository.
struct Manifest {
  std::map<std::string, Bottle> bottles;
  std::map<std::string, Agent> agents;
  std::map<std::string, Vm> vms;
  std::vector<Unusable> unusable;
};

// Holds a file that the caller has read. `path` is only for errors and relative paths.
struct File {
  std::string path, text;
};

// Parses a bottle.yaml (or the same as JSON). Every error has the form "path:line:column: what", and a suggestion if
// there is one.
Result<Manifest> parse(const File& bottle_yaml);

// Parses an agent's file: front matter between two lines of ---, then the prompt. Without `name:`, the agent is named
// after the file. Does not check that its bottle exists.
Result<Agent> parse_agent(const File& markdown);

// Parses claude-bottle.json of version 1.
Result<Manifest> import_v1(const File& json);

// Parses the file of `bottle guard run --config`, which has the keys egress, secrets, scan and ssh of a bottle at the
// top level.
Result<Bottle> parse_guard(const File& file);

// Loads all files together. A file named claude-bottle.json is read as version 1. A name that is defined twice is an
// error, so that no file overrides another by accident. An agent of the repository may name a bottle, but it cannot
// define one and cannot take the name of an agent of the operator. An agent of the repository with a mistake is among
// `unusable`. If the operator has neither policy nor agents, the result is builtin().
Result<Manifest> load(const std::vector<File>& home_policy, const std::vector<File>& home_agents,
                      const std::vector<File>& repository_agents);

// Holds what examine() found. `manifest` is complete only if there are no mistakes.
struct Examined {
  Manifest manifest;
  std::vector<Error> mistakes;
};
// Does the same as load(), but finds all mistakes in the operator's files, up to a hundred. The first is the error of
// load(). Leaves out what may follow from another mistake: a definition with a wrong key or value is not examined
// further, nor is what extends it.
Examined examine(const std::vector<File>& home_policy, const std::vector<File>& home_agents,
                 const std::vector<File>& repository_agents);

// Returns the manifest for an operator without files: the bottle "default", which clones the workspace and reaches only
// the provider's own API, and the agents claude, codex and shell.
Manifest builtin();

// Return the table of keys as a JSON Schema of bottle.yaml and as the tables of docs/manifest.md.
std::string json_schema();
std::string keys_markdown();

// Convert between the mode and its text, which is none, copy, clone or bind.
Result<WorkspaceMode> workspace_mode(const std::string& text);
std::string_view to_string(WorkspaceMode mode);

// Converts "90s", "30m", "2h" or "1d" to seconds.
Result<uint64_t> duration(const std::string& text);

// Returns "did you mean …?" for the most similar of `known`, or a list of all of them, or nothing.
std::string suggest(const std::string& wrong, const std::vector<std::string>& known);

// Returns an amount of money with two digits after the point, or with as many as it needs, up to six.
std::string cost_text(double amount);

// Returns whether a host is written as an address, to which the guard makes no connection unless egress.hosts has it.
bool is_address(const std::string& host);

// Returns whether the pattern of a rule (example.org, *.example.org, *) covers the host or the narrower pattern.
bool covers(const std::string& pattern, const std::string& host);

}  // namespace bottle::manifest
