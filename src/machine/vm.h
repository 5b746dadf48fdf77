// Making a VM for one session. The story, in steps that the caller runs while it does other things: prepare, create,
// reach, wait for the engine. destroy.h undoes it, whatever was reached.
#pragma once

#include <functional>
#include <string>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "machine/record.h"
#include "ssh/target.h"

namespace bottle::machine {

inline constexpr int64_t kDefaultTtl = 8 * 3600, kDefaultIdle = 3600;  // seconds, where the manifest says nothing

struct VmSpec {
  std::string name;  // our choice, see new_vm_name(); unique
  std::string provider, session;
  std::map<std::string, std::string> options;
  double cpus = 0;
  uint64_t memory = 0, disk = 0;  // bytes
  uint64_t ttl = 0, idle = 0;     // seconds; 0: the defaults above
  bool keep = false;              // outlives its owner until the ttl
  ProcessIdentity owner;          // who must live; empty: this process
  Environment
      environment;  // for the hooks and the reaper: the operator's own, without what is none of a provider's business
  std::string path_to_self;  // for the reaper; empty: none (tests only)
  Limits limits;
  int boot_ms = 600000;  // the longest from `create` to sshd
  // Called before the VM can exist: the ledger's record {"kind": "vm", "name": …, "provider": …, "session": …}.
  std::function<Result<>(const nlohmann::json&)> will_make;
};

// Seconds, measured from the begin of create_vm().
struct VmTimings {
  double created = 0, address = 0, ssh = 0, rotated = 0, engine = 0;
};

struct Vm {
  std::string name, provider, id, cost_per_hour;
  ssh::Target target;    // its own known_hosts, alias and identity
  bool offline = false;  // no network of its own
  std::string engine;    // the version that answers there; "missing" or "silent"
  VmTimings timings;
  Record record;
};

std::string new_vm_name(const std::string& session);

// Keys, user-data, the record, the ledger, the reaper. Nothing exists at the provider yet. Milliseconds.
Result<Vm> prepare_vm(const VmSpec& spec);

// Asks the provider for it, and waits until it says where its sshd is.
Result<> create_vm(Vm& vm, const VmSpec& spec, const Progress& progress);

// Waits for sshd with the host key we gave it, and replaces that key by one made there: strictly checked before and
// after. Code::denied where something else answers.
Result<> reach_vm(Vm& vm, const VmSpec& spec, const Progress& progress);

// Waits for the container engine, over a connection with the new host key.
Result<> wait_for_engine(Vm& vm, const Progress& progress, int timeout_ms = 300000);

// All of it, one after the other. After an error destroy_vm() what may be there: it is not done here.
Result<Vm> make_vm(const VmSpec& spec, const Progress& progress);

// An argv of ssh to the VM: strict about host keys, one key, nothing forwarded, no question asked.
std::vector<std::string> ssh_argv(const ssh::Target& target, const std::string& remote_command);

}  // namespace bottle::machine
