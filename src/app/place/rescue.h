// VMs whose owner died: what was done on them is brought home, then they are destroyed, by a detached process each
// (machine/reaper.h).
#pragma once

#include <functional>
#include <string>

#include "machine/reaper.h"

namespace bottle::app {

// `bottle reap NAME`: the exit status.
int reap_vm(const std::string& name);

// A VM whose owner is dead: what an agent did on it and could not be fetched holds it until its time is up, which a
// reaper sees to. Not where the provider says that it has ended. Whether it is held.
bool hold_unfetched(const machine::Record& record);

// What there is to say of a VM that is held.
std::string tell_held(const machine::Record& record);

// At every start: each VM that its owner left has a reaper, those that hold work are told of, and the records of
// machines that never came to be are removed. Asks nobody, waits for nothing. `say`: what was found.
void look_after_vms(const std::function<void(const std::string&)>& say);

// Removes the record of a session on a VM whose owner is dead and whose VM is no more, or never was. False: it is no
// such session.
bool forget_session_without_vm(const std::string& session);

}  // namespace bottle::app
