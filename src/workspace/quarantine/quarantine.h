// Holds what came back for one repository apart from the operator's files: a bare repository with bottle's
// configuration, and the files without a .git.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/keyed_hash.h"
#include "git/formats/object_format.h"
#include "git/objects.h"
#include "git/run/git.h"
#include "workspace/files/sent.h"
#include "workspace/files/transfer.h"

namespace bottle::workspace {

constexpr uint64_t kLargestIndex = 256 << 20;  // in bytes
constexpr size_t kMostFlagged = 100;  // number of lines about what was left behind; more would hide the findings

// Holds everything about one repository that came back. Homecoming::prepare() sets what was sent, fill() what the
// archive has, and the functions of `receiving` read both. All text from the archive is untrusted.
struct Quarantine {
  std::string root;     // belongs to bottle; the owner of this object removes it
  std::string source;   // the operator's directory
  std::string git_dir;  // the operator's git directory for it; empty if there is none
  std::string place;    // its path in the workspace; empty for the workspace itself
  std::string git_at;   // path of its git directory in the workspace, such as ".git"; empty if it has none
  std::string inside;   // where the workspace was in the bottle
  // The paths of the repositories below this one. Their files are in other quarantines.
  std::set<std::string> nested;
  // Return the paths of the files without a .git, and of the index with which git reads them.
  std::string tree() const { return root + "/tree"; }
  std::string index() const { return root + "/index"; }
  git::ObjectFormat format = git::ObjectFormat::sha1;  // of `repository`
  git::Directory repository;                           // a bare repository that borrows the operator's objects
  git::Directory rules;                                // the same, with the attributes that `repository` overrides

  KeyedMap<std::string, git::Entry> base;         // the committed files where the work started
  KeyedMap<std::string, std::string> base_trees;  // the directories there, and the ids of their trees
  KeyedMap<std::string, SentFile> sent;           // the files that were sent: only what differs from these is the
                                                  // agent's work
  std::string record;                             // where the recorded bytes of sent files are kept; empty if
                                                  // nowhere
  bool is_unborn = false;                         // the operator's repository had no commit yet
  bool is_unreadable = false;         // a repository was sent, and the operator's is gone or can no longer be read
  std::set<std::string> known_packs;  // names of packs that have only objects of the operator's repository
  std::string known_objects;  // the operator's object store, which the repository borrows from; empty if there is none

  // These say how a file or a link came back. An unchanged file is not written, because few of a hundred thousand files
  // change.
  struct AsSent {};
  struct Written {           // It is below tree().
    bool only_mode = false;  // its content is as it was sent
  };
  struct Link {
    std::string target;  // the link is not on the disk before Homecoming::make_links()
  };
  struct Alias {
    std::string path;  // it is a hard link to this file, which is as it was sent
  };
  using CameBack = std::variant<AsSent, Written, Link, Alias>;
  KeyedMap<std::string, CameBack> paths;    // all that came back, except for directories
  std::set<std::string> empty_directories;  // directories that came back without anything in them
  std::set<std::string> hidden;             // files that the agent's checkout leaves out, as in a sparse checkout
  // Files whose permissions differ from those that were sent; git cannot store these.
  std::set<std::string> permissions;
  std::set<std::string> filters;                // names of the filters that the operator's git would run
  bool may_have_filters = false;                // whether a file that was not read may define more filters
  std::map<std::string, std::string> filtered;  // written files that a git filter would convert: path → filter

  git::Refs refs;                     // as in the agent's .git; unverified
  std::vector<std::string> stashes;   // object ids, oldest first; unverified
  std::string head;                   // "ref: refs/heads/x" or an object id; unverified
  std::deque<std::string> detached;   // ids of commits that may be on no branch, oldest first; unverified
  std::set<std::string> autostashes;  // ids of stashes that git put aside for an unfinished action; unverified
  std::set<std::string> work_trees;   // places of the agent's linked work trees outside of the workspace
  // Describes a linked work tree of the agent below this repository.
  struct WorkTree {
    std::string place;  // its path in this repository
    std::string head;   // the commit that is checked out there; unverified
  };
  std::map<std::string, WorkTree> inner_work_trees;  // by the name of their git directory, without those of `nested`
  std::set<std::string> git_files;                   // files with the name .git, which only such work trees may have
  std::set<std::string> other_names;                 // names of symbolic refs
  std::string unread_refs;  // a file of refs that bottle cannot read; empty if it has read all refs
  // The blob_id() of each file with git's settings that was sent, such as config and info/exclude, by name. Empty if
  // they are not known.
  std::map<std::string, std::string> settings;
  std::set<std::string> new_settings;  // those that the agent created, changed or removed
  std::set<std::string> unfinished;    // what only the agent had begun, such as "a merge"
  // The agent's indexes, unread: name below the git directory ("index", "worktrees/x/index", and "sharedindex.ID" where
  // they are split) → path of a copy.
  std::map<std::string, std::string> indexes;
  std::set<std::string> to_convert;  // files that came back as they were sent; compare() adds their blobs to
                                     // AgentChanges::contents
  std::vector<std::pair<std::string, std::string>> flagged;  // what was left behind: path in this repository, reason
  uint64_t skipped = 0;

  // Return options with which git runs in this repository, without and with its files.
  git::Runner::Options at() const { return {.in = repository}; }
  git::Runner::Options with_tree() const { return {.in = repository, .work_tree = tree(), .index = index()}; }
  // Returns how a path came back if it is in this way, or null.
  template <class How>
  const How* as(const std::string& path) const {
    auto found = paths.find(path);
    return found == paths.end() ? nullptr : std::get_if<How>(&found->second);
  }
  template <class How>
  bool is(const std::string& path) const {
    return as<How>(path) != nullptr;
  }
  // Returns the paths that came back in this way, sorted.
  template <class How>
  std::vector<std::string> all() const {
    std::vector<std::string> found;
    for (const auto& [path, how] : paths)
      if (std::holds_alternative<How>(how)) found.push_back(path);
    std::ranges::sort(found);
    return found;
  }
  // Returns whether a path is below one of the nested repositories.
  bool is_in_nested(const std::string& path) const;
  // Returns the path in the workspace.
  std::string shown(const std::string& path) const { return place.empty() ? path : place + "/" + path; }
  // Reports what is left behind, once for each path and reason.
  void leave(const std::string& path, const std::string& why);
};

// Unpacks the archive and puts each path into the quarantine of its repository: changed files below its tree(), and new
// loose objects and packs into its repository. Leaves out everything else in .git. The first quarantine is that of the
// workspace itself. A file of a .git may be a hard link to a new file in the tree, or in a .git that is left out.
Result<> fill(const std::vector<std::unique_ptr<Quarantine>>& all, const git::Runner& git, const Incoming& incoming,
              const Source& source);

}  // namespace bottle::workspace
