// Makes a VM for one session, in steps that can run in parallel with other work: prepare, create, reach, and wait for
// the engine. destroy_vm() undoes them, however far they got.
#pragma once

#include <functional>
#include <string>

#include "base/error.h"
#include "machine/record.h"
#include "ssh/target.h"

namespace bottle::machine {

inline constexpr uint64_t kDefaultTtl = 8 * 3600, kDefaultIdle = 3600;  // in seconds, if the manifest has no value

// Describes the VM that a session needs, and how to make it. The launcher or the near side fills it in.
struct VmSpec {
  std::string name;  // unique; see new_vm_name()
  std::string session;
  manifest::Vm wanted;       // times of 0 mean the defaults above
  bool keep = false;         // keep_vm() lets it outlive its owner until the ttl
  ProcessIdentity owner;     // the VM's owner; if empty, this process
  Environment environment;   // for the hooks and the reaper: the operator's own, without what a provider must not see
  std::string path_to_self;  // for the reaper; if empty, there is none (tests only)
  Limits limits;
  int boot_ms = 600000;  // the longest time from `create` to sshd
};

// All times are in seconds since the beginning of create_vm().
struct VmTimings {
  double created = 0, address = 0, ssh = 0, rotated = 0, engine = 0;
};

// Describes a VM that is being made. Each step fills in more of it.
struct Vm {
  std::string name, provider, id, cost_per_hour;
  ssh::Target target;    // has its own known_hosts, alias and identity
  bool offline = false;  // the VM has no network
  std::string engine;    // the version of the engine that answers, "missing" or "silent"
  VmTimings timings;
  Record record;
};

// Returns the name for a session's VM. It is valid (is_session_name()) if the session's name has at most 33 characters.
std::string new_vm_name(const std::string& session);

// Makes the record, the keys and the user-data, and starts the reaper. Nothing exists at the provider yet. Takes
// milliseconds.
Result<Vm> prepare_vm(const VmSpec& spec);

// Asks the provider to create the VM, and waits until it says where the VM's sshd is.
Result<> create_vm(Vm& vm, const VmSpec& spec, const Progress& progress);

// Waits for sshd with the host key that we gave it, and replaces that key with one made on the VM. Checks the key
// strictly before and after. Fails with Code::denied if something else answers.
Result<> reach_vm(Vm& vm, const VmSpec& spec, const Progress& progress);

// Waits for the container engine, over a connection with the new host key.
constexpr int kEnginePatienceMs = 300000;
Result<> wait_for_engine(Vm& vm, const Progress& progress, int timeout_ms = kEnginePatienceMs,
                         const std::stop_token& stop = {});

// Lets the VM outlive its owner until it expires, if the spec says so. Call it when the VM is ready and no stop was
// requested. Until then, the reaper destroys the VM if its owner dies. Fails if the record is gone or cannot be
// written.
Result<> keep_vm(Vm& vm, const VmSpec& spec);

// Performs all steps except keep_vm(), one after the other. After an error the VM may exist, and the caller must call
// destroy_vm().
Result<Vm> make_vm(const VmSpec& spec, const Progress& progress);

// Has the provider keep the disk of a VM that has been sealed, and returns its name for the disk (Provider::bake()). A
// stop does not end the hook, because the disk would then not be recorded. If this process dies, whoever destroys the
// VM ends the hook first. Blocks for minutes.
Result<std::string> keep_disk(Record& record, const std::string& before, const VmSpec& spec, const Progress& progress);

// Returns an ssh command line to the VM: it checks host keys strictly, uses one key, forwards nothing, asks no question
// and, like every later connection to the VM, does not read the operator's ssh configuration.
std::vector<std::string> ssh_argv(const ssh::Target& target, const std::string& remote_command);

}  // namespace bottle::machine
