// What the launcher hands to the supervisor: the plan and the values that belong to it. It travels over a socketpair,
// and without its values to a supervisor on another machine.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/directories.h"
#include "base/error.h"
#include "plan/plan.h"
#include "ssh/target.h"
#include "wire/codec/codec.h"

namespace bottle::wire {

// The values behind a plan's names, as the operator's environment, files, commands or answers gave them. They travel
// over sockets into the guard's memory or the gate, and nowhere else.
struct Values {
  static constexpr const char* kName = "job's values";
  static constexpr size_t kMost = 32 << 20;
  std::map<std::string, std::string> env;      // variable → value, for the agent
  std::map<std::string, std::string> secrets;  // secret name → value, for the guard
};
void fields(Object& o, Values& values);

// How the agent's sign-in token reaches a bottle on another machine: with the job, by ssh's SendEnv, or from a file
// there.
struct Token {
  enum class Via { job, sendenv, provider } via = Via::job;
  std::string name;   // of the plan's secret
  std::string file;   // Via::provider: a path on the other machine, or
  std::string fetch;  // text for sh there, which prints it
};

// A key of the plan's ssh hosts. An ssh-agent outside of the bottle holds it.
struct SshKey {
  std::string file;        // the private key on this host
  std::string blob;        // its public half
  std::string agent;       // the socket of the operator's agent that holds it; empty: the session's own agent will
  std::string passphrase;  // of `file`, for the session's own agent
};

// How to reach it. Kept in the ledger: nothing in it is secret.
struct Far {
  static constexpr const char* kName = "address of a remote machine";
  static constexpr size_t kMost = 64 << 10;
  ssh::Target target;
  std::string control_directory;
  std::string program;  // content hash; the far side keeps it in ~/.cache/bottle/<hash>
};
void fields(Object& o, Far& far);

// A machine that is made for the session and destroyed with it.
struct VmJob {
  std::string name, provider;  // of the manifest's entry
  std::map<std::string, std::string> options;
  double cpus = 0;
  uint64_t memory = 0, disk = 0, ttl = 0, idle = 0;  // bytes, seconds; 0: the defaults
  bool keep = false;
  bool allow_vpn = false;  // though it may lead back to the operator
  static constexpr const char* kName = "description of a VM";
  static constexpr size_t kMost = 32 << 20;
  // For the provider's hooks: the operator's, without secrets of other kinds. Not in the ledger.
  std::map<std::string, std::string> environment = {};
};
void fields(Object& o, VmJob& vm);

// The near side's part of a session that runs on another machine.
struct RemoteJob {
  Far far;  // of a VM that is still to be made: no target yet
  std::optional<VmJob> vm;
  bool adopt = false;  // the session runs already (or has ended): whoever owned it here is dead
  bool stop = false;   // and it is to end now
  std::string image;   // image_identity() of what its engine must have
  std::string roots;   // content hash of the public roots that the far side keeps
  // Its hello has not come yet: no value goes there before it has been judged, by the launcher, or, of a VM from a disk
  // that was baked with all that this job needs, by the supervisor.
  bool unseen = false;
};

struct Job {
  static constexpr const char* kName = "job";
  static constexpr size_t kMost = 79 << 20;  // a frame's
  plan::Plan plan;
  Values values;
  std::vector<SshKey> ssh_keys;
  std::string engine;               // the engine's socket
  std::string ca_bundle, extra_ca;  // PEM
  std::string kept_roots;           // instead of ca_bundle: the content hash of the one that the far side keeps
  session::Directories directories;
  std::string path_to_self;
  // The launcher is on another machine: its values come in a frame of their own, workspace and skills by a delivery,
  // and what the agent leaves is kept as an archive until it has been fetched.
  bool far = false;
  std::optional<RemoteJob> remote;
  bool tunnel = false;  // the secrets stay on the near side, whose broker swaps them in
  // The machine has no network: all that the guard allows goes by the near side, whose broker decides again.
  bool relay_all = false;
  Token token;  // where the sign-in token is, if not among the values
};
void fields(Object& o, Job& job);

}  // namespace bottle::wire

namespace bottle::session {
using wire::Far, wire::Job, wire::RemoteJob, wire::SshKey, wire::Token, wire::Values, wire::VmJob;
}  // namespace bottle::session
