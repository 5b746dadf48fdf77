// Where what came back of one repository is kept apart: a bare repository with our configuration, and the files without
// it.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "git/git.h"
#include "git/objects.h"
#include "workspace/sent.h"
#include "workspace/workspace.h"

namespace bottle::workspace {

constexpr size_t kMostFlagged = 100;  // lines about what was left behind: more would hide what there is to look at

struct Change {
  std::string path, mode, object;  // as it is now; mode "000000": gone
};

struct Quarantine {
  std::string root;    // ours, removed by the owner of this
  std::string source;  // where the operator has it
  std::string place;   // where it lies in the workspace; empty: it is the workspace
  std::string git_at;  // where its git directory lies there: ".git"; empty: it has none
  std::string tree() const { return root + "/tree"; }
  std::string index() const { return root + "/index"; }
  git::Directory repository;  // bare; it borrows the operator's objects
  git::Directory rules;       // the same with the attributes that are overruled in that one

  std::unordered_map<std::string, git::Entry> base;  // what is committed where the work began
  std::unordered_map<std::string, SentFile> sent;    // what went there: only what differs from this is the agent's
  std::string record;                                // where its bytes are kept; empty: nowhere
  std::string known_objects;  // the operator's object store, which the repository borrows from; empty: there is none

  // How each path came back. Of a hundred thousand files few change: one that is as it was sent is not written.
  std::unordered_set<std::string> untouched;
  std::unordered_set<std::string> written;     // below tree()
  std::map<std::string, std::string> links;    // path → target, not made on disk yet
  std::map<std::string, std::string> aliases;  // hard links to files that are as they were sent: path → the other path
  uint64_t empty = 0;

  git::Refs refs;                                            // as the agent's .git says, unverified
  std::vector<std::string> stashes;                          // object ids, the oldest first, unverified
  std::string head;                                          // "ref: refs/heads/x" or an object id, unverified
  std::vector<std::pair<std::string, std::string>> flagged;  // what was left behind: path, why
  uint64_t skipped = 0;

  git::Runner::Options at() const { return {.in = repository}; }
  git::Runner::Options with_tree() const { return {.in = repository, .work_tree = tree(), .index = index()}; }
  std::string shown(const std::string& path) const { return place.empty() ? path : place + "/" + path; }
  // Says what is left behind; once for each path and reason.
  void leave(const std::string& path, const std::string& why);
};

// Lays the archive out, each path in the quarantine whose repository it belongs to: files that changed below its
// tree(), loose objects and packs of its .git that are new in its repository, everything else of .git left out. The
// first quarantine is the workspace's own.
Result<> fill(const std::vector<std::unique_ptr<Quarantine>>& all, const git::Runner& git, const Incoming& incoming,
              const Source& source);

// What differs between two trees or commits, with modes.
Result<std::vector<Change>> changes(const Quarantine& q, const git::Runner& git, const std::string& from,
                                    const std::string& to);

}  // namespace bottle::workspace
