// What carries the labels of a session on the engine though no ledger of ours names it: an operator's whose state
// directory is lost, or another's, since an image or a compose file can bring any label. It is only ever told of;
// removed where the operator, who has seen the names, says so.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/directories.h"
#include "docker/engine.h"
#include "session/ledger/ledger.h"
#include "session/sweep.h"

namespace bottle::session {

struct Unrecorded {
  Thing thing;
  std::string session;       // as its label says
  Owner owner;               // likewise; a process that has ended
  std::string ledger;        // likewise: where it was, maybe under another state directory of this user's
  bool is_named_so = false;  // a session of that name makes such a thing: what does not may not be removed
};

// What says that it is this user's and whose owner is dead. Blocking.
Result<std::vector<Unrecorded>> find_unrecorded(const Directories& directories, docker::Engine& engine);

// Removes those that are named as we name things. What an agent left in its workspace is kept as an archive among the
// results first; where that fails, its container stays. Blocking.
std::vector<Swept> remove_unrecorded(const Directories& directories, docker::Engine& engine,
                                     const std::vector<Unrecorded>& found,
                                     const std::function<void(const std::string&)>& tell);

}  // namespace bottle::session
