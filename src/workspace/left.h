// What the agent left, told by what was sent.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "workspace/quarantine.h"

namespace bottle::workspace {

struct Left {
  std::vector<Change> changes;  // files that differ from what was sent, and are not ignored
  std::string before, after;    // trees that hold those files alone, as they were sent and as they were left
  std::string worktree;  // a commit: what the agent had committed, and on it the rest of its changes. It holds nothing
                         // of what the operator had not committed, but for `mixed`
  std::vector<std::string> mixed;         // changed both by the operator before and by the agent, in the same places
  bool was_changed = false;               // of the changed files, the operator had changed some before
  std::vector<std::string> ignored;       // files that git ignores, and that the agent made or changed
  uint64_t ignored_bytes = 0;             // of those
  std::vector<std::string> ignored_tops;  // the same in few words: "dist/"
  uint64_t ignored_gone = 0;              // files that git ignores, and that the agent removed
};

// How the repository converts and compares files.
struct Conversions {
  std::vector<std::string> options;  // of git: -c core.autocrlf=true
  bool modes = true;                 // the executable bit of a file on the disk tells something
  bool ignores = true;               // some files are ignored
};

// `base`, `head`: the commits that the work began from, and that it is based on now. `submodules`: where the agent has
// another commit in them now. `message`: of the commit. Blocking; runs git.
Result<Left> compare(Quarantine& q, const git::Runner& git, const Conversions& conversions, const std::string& base,
                     const std::string& head, const std::map<std::string, std::string>& submodules,
                     const std::string& message);

// A commit of a whole directory of the operator's, for what no record was kept of. Blocking; runs git.
Result<std::string> commit_directory(const Quarantine& q, const git::Runner& git, const std::string& directory);

}  // namespace bottle::workspace
