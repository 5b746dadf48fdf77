#include "remote/near/near_record.h"

#include "machine/destroy.h"

namespace bottle::remote {

bool vm_is_gone(const Job& job, const NearRecord& record) {
  if (record.vm_name.empty()) return false;
  auto found = machine::load(record.vm_name, job.directories);
  // Only a missing record means that the VM is gone. Another error says nothing about the VM, which may hold work.
  return !found && found.error().code == Code::not_found;
}

bool same_address(const ssh::Target& one, const ssh::Target& other) {
  return one.host == other.host && one.port == other.port;
}

std::optional<MachineAddress> where_vm_moved(const MachineAddress& address, const std::string& vm_name,
                                             const Directories& directories, const machine::Environment& environment) {
  auto now = machine::ask_address(vm_name, directories, environment);
  if (!now || (now->host == address.target.host && now->port == address.target.port)) return std::nullopt;
  MachineAddress moved = address;
  moved.target.host = now->host;
  moved.target.port = now->port;
  return moved;
}

}  // namespace bottle::remote
