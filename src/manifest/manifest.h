// What the operator asked for: bottles, agents, VMs; parsed, merged (`extends`), validated. Pure: files come in as
// text.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace bottle::manifest {

// "path:line:column" of keys, by their dotted name within a bottle or agent.
using Positions = std::map<std::string, std::string>;

enum class WorkspaceMode { none, copy, clone, bind };

struct Resources {
  uint64_t memory = 4ull << 30;  // bytes
  double cpus = 2;
  int pids = 512;
  uint64_t shm = 1ull << 30;  // bytes; a part of the memory
};

struct AllowRule {
  std::string host;                  // example.org | *.example.org | *
  std::vector<uint16_t> ports;       // empty: 443 and 80
  std::vector<std::string> methods;  // empty: any. Set: the host is inspected
  std::vector<std::string> paths;    // globs, ** crosses slashes; empty: any. Set: the host is inspected
  bool inspect = false;
};

struct LanRoute {
  std::string name, to;  // to: ip:port
  std::vector<std::string> methods, paths;
  bool tls = false;  // the service speaks TLS, with a certificate for `name`
};

struct Egress {
  std::vector<AllowRule> allow;
  std::vector<LanRoute> lan;
  std::string on_secret = "block";  // block | redact | warn
  std::map<std::string, std::vector<std::string>>
      hosts;                          // fixed addresses: name → ip or ip:port, trusted by the operator
  std::string parent_proxy;           // http://host:port
  std::vector<std::string> extra_ca;  // host paths of PEM files
  std::string resolver;               // ip:port; empty: the machine's
};

struct Secret {
  std::string name, from;  // from: env:NAME | file:PATH | cmd:LINE | ?question
  std::vector<std::string> hosts;
  std::string header, env;
  std::string placeholder;  // what the agent holds instead; empty: chosen per session
  bool expose = false;
  std::vector<std::string> in = {"header"};  // header | query | body: where the guard puts the value in
  std::vector<std::string> beside;           // headers with credentials of the agent's own that may go with it
};

struct SshHost {
  std::string host, identity_file, hostname, user, known_host_key;
  uint16_t port = 22;
};

struct GitRemote {
  std::string remote, key, host_key;
  std::vector<std::string> push;
};

struct Bottle {
  std::string name, image, dockerfile, runtime = "auto";
  std::vector<std::string> packages;
  Resources resources;
  WorkspaceMode workspace = WorkspaceMode::clone;
  std::vector<std::string> include;        // patterns of files that go along with a clone though they are not committed
  std::vector<std::string> keep;           // patterns of files that come home though git ignores them
  std::map<std::string, std::string> env;  // literal | "${HOST_VAR}" | "?question"
  std::map<std::string, Secret> secrets;
  Egress egress;
  std::vector<SshHost> ssh;
  std::vector<GitRemote> git;
  Positions positions;  // "env.STAGE", "secrets.github" → where; for errors found later
};

// Which version of a provider's program; empty: the newest.
struct Pin {
  std::string version, integrity;
};

struct Agent {
  std::string name, bottle, provider = "claude", prompt;
  Pin pin;
  std::vector<std::string> skills;   // names under the skills directories
  std::vector<std::string> command;  // for provider: command
  std::string description;
  Positions positions;  // "" is the agent itself
};

// A machine made for a session. Times in seconds, sizes in bytes; 0: the provider's default.
struct Vm {
  std::string name, provider;
  uint64_t ttl = 0, idle = 0, memory = 0, disk = 0;
  double cpus = 0;
  bool allow_vpn = false;                      // though it may lead back to the operator
  std::map<std::string, std::string> options;  // for the provider alone
};

struct Manifest {
  std::map<std::string, Bottle> bottles;
  std::map<std::string, Agent> agents;
  std::map<std::string, Vm> vms;
};

struct File {
  std::string path, text;
};

// One bottle.yaml (or the same as JSON). Every error is "path:line:column: what", with a suggestion where there is one.
Result<Manifest> parse(const File& bottle_yaml);

// An agent's file: front matter between two lines of ---, then its prompt. Without `name:` the file's name counts.
// The bottle it names is not looked up here.
Result<Agent> parse_agent(const File& markdown);

// claude-bottle.json of version 1, as it is.
Result<Manifest> import_v1(const File& json);

// `bottle guard run --config`: the manifest's egress, secrets and ssh at top level, without any bottle.
Result<Bottle> parse_guard(const File& file);

// Everything together. A file named claude-bottle.json is read as version 1. A name defined twice is an error, so no
// file overrides another by accident. An agent of the repository may name a bottle; it never defines one and never
// takes the name of an agent of the operator's. Without any policy and agents of the operator's: the built-in ones, see
// builtin().
Result<Manifest> load(std::vector<File> home_policy, std::vector<File> home_agents,
                      std::vector<File> repository_agents);

// What holds where nothing is written: bottle "default" (a clone of the workspace, nothing reachable but the provider's
// own API) and the agents claude, codex and shell.
Manifest builtin();

// The table of keys, as a JSON Schema of bottle.yaml and as the tables of docs/manifest.md.
std::string json_schema();
std::string keys_markdown();

// none | copy | clone | bind
Result<WorkspaceMode> workspace_mode(const std::string& text);
std::string_view to_string(WorkspaceMode mode);

// Seconds of "90s", "30m", "2h", "1d".
Result<uint64_t> duration(const std::string& text);

// "did you mean …?" for the nearest of `known`, or the list of them, or nothing.
std::string suggest(const std::string& wrong, const std::vector<std::string>& known);

// Whether the pattern of a rule (example.org, *.example.org, *) covers the host or the narrower pattern.
bool covers(const std::string& pattern, const std::string& host);

}  // namespace bottle::manifest
