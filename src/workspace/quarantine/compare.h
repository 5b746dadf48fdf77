// Determines what the agent changed, by comparing with what was sent.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/keyed_hash.h"
#include "workspace/quarantine/changes.h"
#include "workspace/quarantine/quarantine.h"

namespace bottle::workspace {

constexpr const char* kUnknownTarget =
    "not brought home, because it is a hard link to a file whose content bottle does not keep";

// Says what the agent left in the files of one repository. compare() makes it.
struct AgentChanges {
  // Files that differ from what was sent and are neither ignored, nor in `filtered` or `unpatched`.
  std::vector<Change> changes;
  std::string before, after;  // trees that hold only those files, as they were sent and as they were left
  std::string worktree;  // a commit with the agent's uncommitted changes on top of what the agent had committed. It
                         // contains nothing that the operator had not committed, except in the files of `mixed`
  std::vector<std::string> mixed;  // files that the operator had changed and the agent then changed in the same
                                   // places
  bool was_changed = false;        // the operator had already changed some of the changed files
  // Files and links that git ignores and that the agent made or changed. Only hard links to unchanged files have an
  // object, because they are not on the disk. They have none if the content of that file is no longer known.
  std::vector<Change> ignored;
  std::set<std::string> shared_directories;  // those with files that git does not ignore; empty if `ignored` is
  // Files that the agent made or changed and that a git filter converts. They are in none of the trees, because filters
  // are not run.
  std::vector<Change> filtered;
  // Files that differ from what was sent, and whose content as it was sent is no longer known. They are in neither
  // `before` nor `after`. The mode is "000000" for those that the agent removed.
  std::vector<Change> unpatched;
  // The blobs of all files that were read, as they were sent and as they were left, and of those that the agent
  // committed on its HEAD.
  KeyedSet<std::string> contents;
  uint64_t ignored_gone = 0;  // number of files that git ignores and that the agent removed

  // Returns how many files differ from what was sent and are not ignored.
  uint64_t files() const { return changes.size() + filtered.size() + unpatched.size(); }
};

// Says how the repository converts and compares files.
struct Conversions {
  std::vector<std::string> options;  // options for git, such as -c core.autocrlf=true
  bool modes = true;                 // whether the executable bit of a file on the disk is meaningful
  bool ignores = true;               // whether git ignores some files
};

// Compares what the agent left with what was sent. `base` is the commit that the work started from, and `head` the
// commit that it is based on now. `committed` is what differs between them, or null if git must list it. `submodules`
// has the new commits of submodules in which the agent moved HEAD. `message` is the commit message. Blocks while it
// runs git.
Result<AgentChanges> compare(Quarantine& q, const git::Runner& git, const Conversions& conversions,
                             const std::string& base, const std::string& head, const std::vector<Change>* committed,
                             const std::map<std::string, std::string>& submodules, const std::string& message);

// Commits a whole directory of the operator's, for which no record was kept. Blocks while it runs git.
Result<std::string> commit_directory(const Quarantine& q, const git::Runner& git, const std::string& directory);

}  // namespace bottle::workspace
