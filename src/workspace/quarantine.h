// Where what came back is kept apart: a bare repository with our configuration, and the files without it.
#pragma once

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "git/git.h"
#include "git/objects.h"
#include "workspace/workspace.h"

namespace bottle::workspace {

constexpr size_t kMostFlagged = 100;  // lines about what was left behind: more would hide what there is to look at

struct Change {
  std::string path, mode, object;  // as it is now; mode "000000": gone
};

struct Quarantine {
  std::string root;  // ours, removed by the owner of this
  std::string tree() const { return root + "/tree"; }
  std::string index() const { return root + "/index"; }
  git::Directory repository;  // bare; it borrows the operator's objects

  // What the work started from. A file that comes back as it was is not written, only noted: of a hundred thousand
  // files few change.
  std::unordered_map<std::string, git::Entry> base;
  std::map<std::string, git::Entry> unchanged;
  std::string known_objects;  // the operator's object store, which the repository borrows from; empty: there is none

  std::map<std::string, std::string> links;                  // path → target, not made on disk yet
  std::map<std::string, std::string> branches;               // as the agent's .git says, unverified
  std::string head;                                          // "ref: refs/heads/x" or an object id, unverified
  std::vector<std::pair<std::string, std::string>> flagged;  // what was left behind: path, why
  uint64_t skipped = 0;

  git::Runner::Options at() const { return {.in = repository}; }
  git::Runner::Options with_tree() const { return {.in = repository, .work_tree = tree(), .index = index()}; }
};

// Lays the archive out: files that changed below tree(), loose objects and packs of .git that are new in the
// repository, everything else of .git left out.
Result<> fill(Quarantine& q, const git::Runner& git, const Incoming& incoming, const Source& source);

// What differs between two trees or commits, with modes.
Result<std::vector<Change>> changes(const Quarantine& q, const git::Runner& git, const std::string& from,
                                    const std::string& to);

// A commit on `parent` (may be empty) that holds the files below `tree` and the `unchanged` ones, starting from the
// index of `start`.
Result<std::string> commit_files(const Quarantine& q, const git::Runner& git, const std::string& tree,
                                 const std::map<std::string, git::Entry>& unchanged, const std::string& start,
                                 const std::string& parent, const std::string& message);

}  // namespace bottle::workspace
