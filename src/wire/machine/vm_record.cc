// Lists the fields of a VM's record. Like a ledger, it may be read by another version of bottle than the one that
// wrote it, so unknown keys are skipped and newer keys are optional. A record that cannot be read would leave a VM that
// is never destroyed.
#include "wire/machine/vm_record.h"

namespace bottle::wire {

void fields(Object& o, ProcessRecord& process) {
  o.number("pid", process.pid);
  o.text("start", process.start, kName);
  o.text("boot", process.boot, kName);
}

void fields(Object& o, VmRecord& vm) {
  o.passes_over_unknown_keys();
  o.text("name", vm.name, kName);
  o.text("id", vm.id, kPath);
  o.text("session", vm.session, kName);
  o.text("owner", vm.owner, kName);
  o.text("provider", vm.provider, kName);
  o.number("cpus", vm.cpus);
  constexpr uint64_t kLeast = 0, kMost = uint64_t{1} << 32;  // small enough that the number of bytes fits into 64 bits
  o.number("memory_mb", vm.memory_mb, kLeast, kMost);
  o.number("disk_gb", vm.disk_gb, kLeast, kMost);
  o.number("ttl", vm.ttl);
  o.number("idle", vm.idle);
  o.text("user_data", vm.user_data, kPath);
  o.text("ssh_public_key", vm.ssh_public_key, kPath);
  o.text("state_dir", vm.state_dir, kPath);
  o.table("options", vm.options, kFew, 64 << 10);
  o.object("owner_process", vm.owner_process);
  o.object("hook", vm.hook);
  o.flag("keep", vm.keep);
  if (o.may_lack("held")) o.flag("held", vm.held);  // older records do not have this key
  o.text_if_any("second_owner", vm.second_owner, kName);
  o.number("made", vm.made);
  o.number("until", vm.until);
  o.text("cost_per_hour", vm.cost_per_hour, kName);
}

void fields(Object& o, BakedRecord& baked) {
  o.passes_over_unknown_keys();
  o.text("image", baked.image, kPath);
  if (o.may_lack("program")) o.text("program", baked.program, kName);
  if (o.may_lack("roots")) o.text("roots", baked.roots, kName);
  if (o.may_lack("agents")) o.texts("agents", baked.agent_images, kFew, kName);
  if (o.may_lack("made")) o.number("made", baked.made);
}

}  // namespace bottle::wire
