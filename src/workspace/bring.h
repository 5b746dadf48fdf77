// The agent's objects into the operator's repository, which no git is run in.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "git/repository.h"
#include "workspace/quarantine.h"

namespace bottle::workspace {

// What may still come into the operator's objects, and what they take of the disk now.
struct Room {
  uint64_t& left;
  uint64_t size;
};

uint64_t size_of(const std::string& objects);

// The commits of the operator's refs whose objects are there: what they reach needs not be brought, nor checked.
Result<std::vector<std::string>> known_commits(const Quarantine& q, const git::Runner& git,
                                               const git::Repository& repository, const std::string& base);

// Brings what a commit needs, every object checked as `git fetch` with fetch.fsckObjects would. False: it or something
// it needs is broken or missing. An error: there is no room for it. What it takes of the room is seen there only, where
// git packs what was small otherwise; what failed leaves something too. No ref is made.
Result<bool> bring_objects(const Quarantine& q, const git::Runner& git, const git::Repository& repository,
                           const std::vector<std::string>& known, const std::string& id, Room& room);

}  // namespace bottle::workspace
