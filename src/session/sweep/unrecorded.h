// Handles things on the engine that have the labels of a session although none of our ledgers names them. The
// operator's state directory may be lost, or the things may belong to someone else, because an image or a compose file
// can have any label. bottle only reports them, and removes them if the operator, who has seen the names, asks for it.
#pragma once

#include <string>
#include <vector>

#include "base/files/directories.h"
#include "base/progress.h"
#include "docker/engine.h"
#include "session/ledger/ledger.h"
#include "session/sweep/sweep.h"

namespace bottle::session {

// Describes one thing on the engine by its labels, which any program may have set.
struct Unrecorded {
  Thing thing;
  std::string session;  // from its label
  Owner owner;          // from its label; a process that does not run on this machine
  std::string ledger;   // from its label; may be under another state directory of this user
  std::string spared;   // why it must not be removed, as a clause; empty if it may be removed
};

// Returns the things whose labels say that they belong to this user and that their owner does not run on this machine.
// Spares those whose names no session uses, and those of a session that may be running on another machine or in another
// PID namespace. Blocks.
Result<std::vector<Unrecorded>> find_unrecorded(const Directories& directories, docker::Engine& engine);

// Removes the things that are named as bottle names them. First keeps what an agent left in its workspace as an archive
// among the results. If that fails, the container stays. Blocks.
std::vector<Swept> remove_unrecorded(const Directories& directories, docker::Engine& engine,
                                     const std::vector<Unrecorded>& found, const Progress& progress);

}  // namespace bottle::session
