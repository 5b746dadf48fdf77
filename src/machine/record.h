// Keeps the record of a VM from before the VM is made until it is confirmed gone. The record is `vms/NAME/vm.json`,
// mode 0600 in a directory of mode 0700. The record alone is enough to destroy the VM, and it contains no secret.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/os/process_identity.h"
#include "base/unique_fd.h"
#include "machine/provider/provider.h"

namespace bottle::machine {

// Holds what is known about one VM. The process that makes the VM writes it, and every later process reads it from the
// disk.
struct Record {
  VmRequest vm;
  ProcessIdentity owner;  // the VM stays only while this process lives; a kept VM has no owner
  bool keep = false;      // it was made to outlive its owner until it expires
  bool held = false;      // it outlives its owner because its work could not be fetched yet
  int64_t made = 0;       // seconds since 1970, by this machine's clock
  int64_t until = 0;      // when it expires, likewise
  std::string cost_per_hour;
  // A provider's test asks for the VM's name as this owner, too. Empty if nothing of that owner can exist.
  std::string second_owner;
  ProcessIdentity hook;  // the `create` or `bake` hook that runs or ran

  // Returns whether `create` may still be under way, or was interrupted.
  bool creating() const { return vm.id.empty(); }  // `create` has not reported success
};

// Writes the record, and replaces the one that was there. The directory must exist. Blocks until it is on the disk.
Result<> save(const Record& record, const Directories& directories);
// load() reads a record. It fails with Code::not_found if there is none, with Code::denied if another user may have
// written it, and with Code::protocol if it is malformed. recorded() lists the names of all records.
Result<Record> load(const std::string& name, const Directories& directories);
// Returns whether the result of load() means that the VM is gone. A record that cannot be read does not mean that,
// because the VM may hold work.
bool is_gone(const Result<Record>& loaded);
Result<std::vector<std::string>> recorded(const Directories& directories);

// Returns whether there is a record, even if it cannot be read. If that is unknown, there is one.
bool is_recorded(const std::string& name, const Directories& directories);

// Changes a record that another process may change at the same time, and returns the new one. `act` gets it as it is;
// its error leaves it unchanged. Waits at most 10 s for other changes. Fails with Code::not_found if the VM is gone.
Result<Record> change(const std::string& name, const Directories& directories,
                      const std::function<Result<>(Record&)>& act);

// Makes this process the owner and ends a hold.
Result<> take_over(const std::string& name, const Directories& directories);

// Lets the VM outlive its owner until it expires, because its work could not be fetched yet. Fails with Code::conflict
// if another process is its owner.
Result<> hold(const std::string& name, const Directories& directories);

// Removes the VM's directory, the record last. The record stays if anything else does.
void forget(const std::string& name, const Directories& directories);

// Removes the directory of a VM that has no record, because its maker died before it could write one.
void forget_unfinished(const std::string& name, const Directories& directories);

// Returns whether the VM's owner is dead although the VM was not made to outlive it.
bool ownerless(const Record& record);
// Returns whether the VM should not exist: it has expired, or it is ownerless and not held.
bool abandoned(const Record& record, int64_t now);
// Returns the seconds since 1970 by this machine's clock, which can be set.
int64_t now_seconds();

// Takes the lock of a VM. The VM's `create` hook inherits it as its stdin, so the VM stays locked as long as that
// hook lives, even if the caller dies. No process can then destroy a VM while another one makes it. Fails with
// Code::timed_out, and with Code::not_found if the VM's directory is gone.
Result<UniqueFd> lock_vm(const std::string& name, const Directories& directories, int timeout_ms);

}  // namespace bottle::machine
