// Defines what the launcher sends to the supervisor over a socket pair: the plan and its values. A supervisor on a
// remote machine gets it without the values.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files/directories.h"
#include "manifest/manifest.h"
#include "plan/plan.h"
#include "ssh/target.h"
#include "wire/codec/codec.h"
#include "wire/guard/config.h"

namespace bottle::wire {

// Holds the values for the names in a plan, from the operator's environment, files, commands or answers. They travel
// only over sockets, into the guard's memory or through the gate.
struct Values {
  static constexpr const char* kName = "job's values";
  static constexpr size_t kMost = 32 << 20;
  std::map<std::string, std::string> env;      // variable → value, for the agent
  std::map<std::string, std::string> secrets;  // secret name → value, for the guard
  std::map<std::string, std::string> known;    // place → value of a file in scan.secrets, for the guard
};
void fields(Object& o, Values& values);

// Says how the agent's sign-in token reaches a bottle on a remote machine: with the job, by ssh's SendEnv, or from a
// file on that machine.
struct Token {
  enum class Via { job, sendenv, provider } via = Via::job;
  std::string name;   // name of the secret in the plan
  std::string file;   // for Via::provider: a path on the remote machine, used if `fetch` is empty
  std::string fetch;  // for Via::provider: shell code that prints the token on that machine
};

// Describes a key for the ssh hosts of the plan. An ssh-agent outside the bottle holds the key.
struct SshKey {
  enum class Holder : uint8_t {
    session,    // the session's own
    other,      // the one at `socket`
    near_side,  // one on the near side, in the job of a far side
  } holder = Holder::session;
  std::string file;        // the private key on this host
  std::string blob;        // its public half
  std::string socket;      // for Holder::other
  std::string passphrase;  // of `file`, for Holder::session
};

// Says how to reach the remote machine. It is kept in the ledger, so nothing in it may be secret.
struct MachineAddress {
  static constexpr const char* kName = "address of a remote machine";
  static constexpr size_t kMost = 64 << 10;
  ssh::Target target;
  std::string program;  // content hash; the far side keeps it in ~/.cache/bottle/<hash>
};
void fields(Object& o, MachineAddress& address);

// Describes a VM that is made for the session and destroyed with it.
struct VmJob {
  manifest::Vm vm;
  bool keep = false;
  static constexpr const char* kName = "description of a VM";
  static constexpr size_t kMost = 32 << 20;
  // The environment for the provider's hooks: the operator's, without unrelated secrets. It is not written to the
  // ledger.
  std::map<std::string, std::string> environment = {};
};
void fields(Object& o, VmJob& job);

// Holds the near side's part of a session that runs on a remote machine.
struct RemoteJob {
  MachineAddress address;  // has no target while a VM is still to be made
  std::optional<VmJob> vm;
  std::string image;  // image_identity() of the image that its engine must have
  std::string roots;  // content hash of the public roots that the far side keeps
  enum class Task {
    begin,
    // Begin a session although the machine's hello has not arrived. No value goes to the machine before the hello has
    // been judged: by the launcher, or by the supervisor if the VM started from a disk that was baked with everything
    // this job needs.
    begin_unseen,
    adopt,           // take over a session that already runs (or has ended) and whose owner on this machine is dead
    adopt_and_stop,  // take it over, and end it now
  };
  Task task = Task::begin;
  bool adopts() const { return task == Task::adopt || task == Task::adopt_and_stop; }
  bool may_broker = true;      // false if a broker on this machine could not look for everything that must not leave
  std::string engine_id = {};  // EngineHello::id; empty if the hello has not arrived
};

// Says where the launcher and the bottle of a session are, as seen from the supervisor that has the job.
enum class Side {
  local,  // both are on this machine
  near,   // the launcher is on this machine, and the bottle is on the one that Job::remote names
  // The bottle is on this machine, and the launcher is not. The values arrive in a separate frame, workspace and
  // skills arrive in a delivery, and the agent's work is kept as an archive until it has been fetched.
  far,
};

// Says which requests of a bottle on a remote machine go through the near side, whose broker decides about them again.
// Those to services on the operator's network always do.
struct NearShare {
  bool secrets_stay = false;  // those with secrets: the broker has the values, and replaces the placeholders
  bool offline = false;       // all that the guard allows, because the remote machine has no network
};

// Says which engine it is, and where it keeps layers and volumes. Fields are empty if the engine did not report them.
struct EngineStorage {
  std::string driver;     // such as overlay2
  std::string backing;    // the file system below it, such as xfs
  std::string directory;  // in the engine's own view
  std::string kernel;     // release of the kernel that the engine runs on
  std::string id;         // of the engine with its present layers and volumes (docker::EngineInfo::identity)
};

// Holds everything that a supervisor needs for one session. The launcher makes it. The values in it are never written
// to a disk. On the way to a remote machine, the near side removes what must stay (near_services.h).
struct Job {
  static constexpr const char* kName = "job";
  static constexpr size_t kMost = 79 << 20;  // in bytes; fits into a frame
  plan::Plan plan;
  // These are random hexadecimal digits. A machine that serves several near sides may have sessions of the same name,
  // which differ in their ids. The id of a session that an earlier version started is empty.
  std::string id = {};
  Values values;
  std::vector<SshKey> ssh_keys;
  std::string engine;     // the engine's socket
  EngineStorage storage;  // of that engine
  // PEM. On the operator's machine, `ca_bundle` is empty until the supervisor reads it (app/roles/supervise.cc).
  std::string ca_bundle, extra_ca;
  GuardOwnRules own_rules;  // the rules in the files of plan.scan.rules
  std::string kept_roots;   // content hash of the roots that the far side keeps, used instead of `ca_bundle`
  Directories directories;
  std::string path_to_self;
  bool from_near_side = false;  // excludes `remote`
  std::optional<RemoteJob> remote;
  Side side() const { return from_near_side ? Side::far : remote ? Side::near : Side::local; }
  NearShare near_share;
  Token token;  // where the sign-in token is, if it is not among the values
};
// Refuses a job of another version of the protocol, and one for both sides.
void fields(Object& o, Job& job);

}  // namespace bottle::wire
