// Keeps the record of a session on another machine, in the session's directory on this one: how its machine
// is reached.
#pragma once

#include <optional>
#include <string>

#include "machine/record.h"
#include "wire/start/job.h"

namespace bottle::remote {

using wire::Job, wire::MachineAddress;

// Says how to reach the session's machine again. It comes from the job or from the ledger.
struct NearRecord {
  MachineAddress address;
  std::string vm_name;  // the VM that was made for the session; empty if the machine existed before
  std::string directory;
  // EngineHello::id of the engine on which the agent may run: empty if that is not known, and absent as long as the
  // agent cannot have run.
  std::optional<std::string> engine_id = {};
};

// Returns whether the session's VM was destroyed, for any reason. Returns false if it never had one.
bool vm_is_gone(const Job& job, const NearRecord& record);

// Returns whether both have the same host and the same port.
bool same_address(const ssh::Target& one, const ssh::Target& other);

// Asks the provider of a VM whether the VM has another address now, and returns that one. Someone may have stopped the
// VM and started it again, which gives it another address at some providers. Returns nothing if the address is the same
// or not known. Blocks for one call of a hook.
std::optional<MachineAddress> where_vm_moved(const MachineAddress& address, const std::string& vm_name,
                                             const Directories& directories, const machine::Environment& environment);

}  // namespace bottle::remote
