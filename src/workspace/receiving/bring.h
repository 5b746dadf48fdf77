// Brings the agent's objects into the operator's repository without running git in that repository.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "git/repository.h"
#include "workspace/quarantine/quarantine.h"

namespace bottle::workspace {

// Says how many bytes may still be added to the operator's objects, and how much disk space they take now.
struct Room {
  uint64_t& left;
  uint64_t size;
  std::set<std::string> brought;  // commits whose objects passed the checks; several refs often name the same one
};

// Returns the size of all files below a directory, in bytes. Files that another process removes meanwhile do not
// count, and neither do those in a subdirectory that this user may not read. Fails if another directory cannot be read.
// Blocks while it reads the tree.
Result<uint64_t> size_of(const std::string& objects);

// Returns why the operator's repository cannot be written to, or an empty string if its directories are writable.
std::string why_unwritable(const git::Repository& repository);

struct Known {
  std::vector<std::string> commits;  // those of the operator's refs that exist
  bool has_sent;                     // all commits that were sent, with what they reach, because refs name them
};

// Returns what the operator's repository has. What these commits reach need not be brought or checked.
Result<Known> known_commits(const Quarantine& q, const git::Runner& git, const git::Repository& repository,
                            const std::string& base, const git::Refs& sent);

// Brings the objects that some commits need. Checks every object as `git fetch` with fetch.fsckObjects would. Returns
// false if one of the commits or something it needs is broken or missing. Fails if there is no room. Measures the
// growth of the operator's object store, because git packs the objects differently there. What a failed call leaves
// counts as well. Makes no ref.
Result<bool> bring_objects(const Quarantine& q, const git::Runner& git, const git::Repository& repository,
                           const std::vector<std::string>& known, const std::vector<std::string>& ids, Room& room);

// Does the same in one step, before each commit is brought by itself: that step then has nothing left to do. Ignores a
// failure that concerns only some of the commits.
Result<> bring_together(const Quarantine& q, const git::Runner& git, const git::Repository& repository,
                        const std::vector<std::string>& known, const std::vector<std::string>& ids, Room& room);

}  // namespace bottle::workspace
