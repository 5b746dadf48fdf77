// Destroys a VM, and tries again until the provider itself says that nothing is left.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "machine/record.h"

namespace bottle::machine {

// Describes a destruction, for the receipt.
struct Destroyed {
  std::string name, provider, id;
  bool confirmed = false;
  std::string confirmed_by;  // which answers confirmed it
  int calls = 0;             // number of calls of the `destroy` hook
  double seconds = 0;
  int64_t made = 0, at = 0;       // when it was made and when it was confirmed gone (seconds since 1970)
  std::vector<std::string> left;  // what still exists, or may still exist
  bool hopeless = false;          // the provider is not set up or refuses this environment's credentials
};

// Says how long to try, and with which environment. Times are in milliseconds.
struct DestroyOptions {
  Limits limits;
  int patience_ms = 300000;  // for the whole destruction
  int settle_ms = 5000;      // the wait after an interrupted `create` before the provider is asked once more
  Environment environment;   // for the hooks
  // If set, a VM with a record is destroyed only if this returns true. It gets the record as it was read under the VM's
  // lock, while no other process can create or destroy the VM. A process that takes the VM over just after that finds
  // it gone.
  std::function<bool(const Record&)> only_if = {};
  std::function<std::chrono::steady_clock::time_point()> clock = std::chrono::steady_clock::now;  // for patience_ms
};

// Destroys the VM `name` and everything that the provider lists for it. Uses the record in directories.vms, or only the
// name if there is no record. A VM counts as gone when a `status` after the `destroy` says so and `list` contains no
// part of it. Then its directory with its keys is removed. Can be repeated: a VM that was never made, or is gone, is
// confirmed gone. Fails with Code::conflict if the VM is needed again (DestroyOptions::only_if). Otherwise, fails only
// if nothing could be asked; Destroyed::confirmed says how it ended. Blocks.
Result<Destroyed> destroy_vm(const std::string& name, const std::string& provider, const Directories& directories,
                             const DestroyOptions& options, const Progress& progress);

// Returns whether the provider says that nothing can be fetched from the VM any more, because it is being deleted or is
// gone. Returns false if the provider cannot be asked, or if its `list` still has the VM. Blocks for two calls of
// hooks.
bool has_ended(const Record& record, const Directories& directories, const DestroyOptions& options);

// Holds a VM whose work could not be fetched (hold()), unless it has ended (has_ended()). A VM that starts, or is moved
// or repaired ("pending"), or whose status cannot be learned now, may be available again later. Returns false only if
// the VM has ended or has no record. Otherwise, the VM must not be destroyed, even if the hold cannot be written; the
// caller then tries again later.
bool hold_unless_ended(const std::string& name, const Directories& directories, const DestroyOptions& options);

// Asks the provider where the VM's sshd is now. A VM that was stopped and started again may have another address, but
// still has its host key. Fails with Code::unavailable while the provider does not know. Blocks for one call of a hook.
Result<Where> ask_address(const std::string& name, const Directories& directories, const Environment& environment);

}  // namespace bottle::machine
