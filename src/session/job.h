// What the launcher hands to the supervisor: the plan and the values that belong to it. It travels over a socketpair.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "plan/plan.h"
#include "session/near/far_side.h"
#include "session/ssh_keys.h"
#include "session/state.h"
#include "session/token.h"
#include "session/values.h"

namespace bottle::session {

// A machine that is made for the session and destroyed with it.
struct VmJob {
  std::string name, provider;  // of the manifest's entry
  std::map<std::string, std::string> options;
  double cpus = 0;
  uint64_t memory = 0, disk = 0, ttl = 0, idle = 0;  // bytes, seconds; 0: the defaults
  bool keep = false;
  bool allow_vpn = false;  // though it may lead back to the operator
  std::map<std::string, std::string>
      environment;  // for the provider's hooks: the operator's, without secrets of other kinds
};

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
  plan::Plan plan;
  Values values;
  std::vector<SshKey> ssh_keys;
  std::string engine;               // the engine's socket
  std::string ca_bundle, extra_ca;  // PEM
  std::string kept_roots;           // instead of ca_bundle: the content hash of the one that the far side keeps
  Directories directories;
  std::string path_to_self;
  // The launcher is on another machine: its values come in a frame of their own, workspace and skills by a delivery,
  // and what the agent leaves is kept as an archive until it has been fetched.
  bool far = false;
  std::optional<RemoteJob> remote;
  bool tunnel = false;  // the secrets stay on the near side, whose broker swaps them in
  bool relay_all =
      false;  // the machine has no network: all that the guard allows goes by the near side, whose broker decides again
  Token token;  // where the sign-in token is, if not among the values
};

// Without its environment: for the ledger.
nlohmann::json to_json(const VmJob& vm);
Result<VmJob> vm_from_json(const nlohmann::json& json);

nlohmann::json to_json(const Values& values);
Result<Values> values_from_json(const nlohmann::json& json);

nlohmann::json to_json(const Job& job);
Result<Job> job_from_json(const std::string& text);

}  // namespace bottle::session
