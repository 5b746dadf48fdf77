// What is taken over of configuration files: a short list of settings that are data. Nothing on it names a command, a
// file that is run, or a place that something is fetched from.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/beneath.h"
#include "base/error.h"
#include "git/config.h"

namespace bottle::git {

struct Settings {
  std::string format = "sha1";  // of the object ids: sha1 or sha256
  bool bare = false;
  bool partial = false;              // objects may be missing, which git would fetch from a promisor
  int shared = 0;                    // mode bits that what is written gets beside those of the umask
  std::string work_tree;             // core.worktree, as it is written; empty: not set
  std::vector<std::string> remotes;  // their URLs, unchecked
  std::string name, email;           // user.name and user.email; empty: not set
  // By branch: the remote that it follows, and the ref there. Unchecked.
  std::map<std::string, std::string> followed, merged;
  std::map<std::string, std::string> core;  // core.autocrlf and the like, to be written to a configuration of ours

  // As lines of a configuration file: `core`.
  std::string lines() const;
};

// The settings of the operator's repository: `common`/config and, where that asks for it, `own`/config.worktree.
// Includes are not followed. Code::invalid: it is a repository of a kind that is not supported, with the words for it.
Result<Settings> settings_of(const Beneath& common, const Beneath& own);

// Where the operator's repository is, for the conditions of his includes.
struct Place {
  std::string git_dir, branch;
  std::vector<std::string> remotes;
};

// The operator's own settings, of all his repositories (git-config(1): system and global), as he would have them in
// this one, includes and all. Runs git, in no repository. Nothing: git does not understand them.
Settings operators_settings(const Place& place);

// Does one of git's patterns (wildmatch, `**` crosses slashes) match all of the text? Time: their lengths' product.
bool matches(std::string_view pattern, std::string_view text, bool ignore_case = false);

}  // namespace bottle::git
