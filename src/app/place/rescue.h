// Handles VMs whose owner died: brings the work on them home, then destroys them, with a detached process for each
// (machine/reaper.h).
#pragma once

#include <string>

#include "base/progress.h"
#include "machine/reaper.h"

namespace bottle::app {

// Runs `bottle reap NAME`. Returns the exit status.
int reap_vm(const std::string& name);

// Holds a VM whose owner is dead if an agent's work on it could not be fetched. The VM is then kept until it expires,
// when a reaper destroys it. Does not hold a VM that has ended according to its provider. Returns whether the VM must
// stay, which is so even if the hold cannot be written.
bool hold_unfetched(const machine::Record& record);

// Returns the message for the operator about a VM that is held.
std::string tell_held(const machine::Record& record);

// Runs at every start. Makes sure that each VM without an owner has a reaper, reports VMs that hold work, and removes
// the records of VMs that were never made. Does not query providers and does not block. Reports what it finds with
// `progress`.
void check_vms(const Progress& progress);

// Removes the record of a session on a VM if the owner is dead and the VM is gone or was never made. If the VM had work
// that was not fetched, first writes that to the session's results and reports it with `progress`. Returns false if it
// is not such a session, or if the results cannot be written.
bool forget_session_without_vm(const std::string& session, const Progress& progress);

}  // namespace bottle::app
