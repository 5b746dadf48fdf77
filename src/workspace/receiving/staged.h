// Finds content that the agent only staged: its index has it, and no file and no commit does.
#pragma once

#include <string>
#include <vector>

#include "base/keyed_hash.h"
#include "git/repository.h"
#include "workspace/quarantine/quarantine.h"

namespace bottle::workspace {

// Describes content that only an index of the agent has.
struct Staged {
  std::string work_tree;           // the name of the linked work tree whose index it is; empty for the repository's own
  std::string commit;              // its tree is the index; empty if it could not be made
  std::vector<std::string> paths;  // what only `commit` has
  std::vector<std::string> left;   // what is only staged, and must not be on `commit` because a filter converts it
  std::string ref = {};            // the ref that gets `commit`; the caller sets it
};

// Says what has come home apart from the index.
struct CameHome {
  const std::string& base;                // the commit that the work started from
  const std::string& head;                // the commit that the agent had checked out
  std::vector<std::string> commits;       // the commits that come home
  const KeyedSet<std::string>& contents;  // AgentChanges::contents
  std::vector<std::string> earlier = {};  // the results for an earlier state of the same session
};

// Removes from q.indexes those that have only content of the base and of the files that were sent, and sets
// q.to_convert. Reports indexes that cannot be read, unless the operator has the same one. Call this after fill() and
// before compare().
void sort_indexes(Quarantine& q);

// Returns what is only staged in q.indexes. Call this after everything else was brought into `repository`. `message` is
// the commit message. Blocks while it runs git.
Result<std::vector<Staged>> only_staged(const Quarantine& q, const git::Runner& git, const git::Repository& repository,
                                        const CameHome& home, const std::string& message);

}  // namespace bottle::workspace
