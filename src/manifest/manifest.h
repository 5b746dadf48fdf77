// What the operator asked for: bottles, agents, VMs; parsed, merged (`extends`), validated. Pure: files come in as text.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace bottle::manifest {

enum class WorkspaceMode { none, copy, clone, bind };

struct Resources {
  uint64_t memory = 4ull << 30;  // bytes
  double cpus = 2;
  int pids = 512;
};

struct AllowRule {
  std::string host;                  // example.org | *.example.org | *
  std::vector<uint16_t> ports;       // empty: 443 and 80
  std::vector<std::string> methods;  // empty: any. Set: the host is inspected
  std::vector<std::string> paths;    // globs, ** crosses slashes; empty: any. Set: the host is inspected
  bool inspect = false;
};

struct LanRoute {
  std::string name, to;
  std::vector<std::string> methods, paths;
};

struct Egress {
  std::vector<AllowRule> allow;
  std::vector<LanRoute> lan;
  std::string on_secret = "block";                        // block | redact | warn
  std::map<std::string, std::vector<std::string>> hosts;  // fixed addresses: name → ip or ip:port, trusted by the operator
  std::string parent_proxy;                               // http://host:port
  std::vector<std::string> extra_ca;                      // host paths of PEM files
  std::string resolver;                                   // ip:port; empty: the machine's
};

struct Secret {
  std::string name, from;  // from: env:NAME | file:PATH | cmd:LINE | ?question
  std::vector<std::string> hosts;
  std::string header, env;
  bool expose = false;
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
  std::map<std::string, std::string> env;  // literal | "${HOST_VAR}" | "?question"
  std::map<std::string, Secret> secrets;
  Egress egress;
  std::vector<SshHost> ssh;
  std::vector<GitRemote> git;
};

struct Agent {
  std::string name, bottle, provider = "claude", prompt;
  std::vector<std::string> skills;   // names under the skills directories
  std::vector<std::string> command;  // for provider: command
};

struct Manifest {
  std::map<std::string, Bottle> bottles;
  std::map<std::string, Agent> agents;
};

}  // namespace bottle::manifest
