// Derives from the job and the ledger how a session's machine is reached, and writes that for other commands.
#include "remote/near/near_record.h"

#include <chrono>

#include "base/files/file.h"
#include "machine/destroy.h"
#include "wire/ledger.h"

namespace bottle::remote {

machine::Places vm_places(const Job& job) {
  return machine::Places::from(job.remote->vm ? job.remote->vm->environment : machine::Environment());
}

bool vm_is_gone(const Job& job, const NearRecord& record) {
  if (record.vm_name.empty()) return false;
  auto found = machine::load(record.vm_name, vm_places(job));
  // Only a missing record means that the VM is gone. Another error says nothing about the VM, which may hold work.
  return !found && found.error().code == Code::not_found;
}

std::optional<Far> where_vm_moved(const Far& far, const std::string& vm_name, const machine::Environment& environment) {
  auto now = machine::ask_address(vm_name, machine::Places::from(environment), environment);
  if (!now || (now->host == far.target.host && now->port == far.target.port)) return std::nullopt;
  Far moved = far;
  moved.target.host = now->host;
  moved.target.port = now->port;
  return moved;
}

void write_info(const Job& job, const NearRecord& record, const char* state) {
  auto now =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  wire::SessionInfo info{
      job.plan.session, state, job.plan.agent, job.plan.bottle, job.plan.workspace, record.far.target.to_string(), now};
  (void)write_file_atomically(record.directory + "/info.json", wire::encode(info));
}

}  // namespace bottle::remote
