// Defines which settings bottle takes from configuration files: a short list of settings that are only data. None of
// them names a command, a file that is run, or a source to fetch from.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files/beneath.h"
#include "git/formats/config.h"
#include "git/formats/object_format.h"

namespace bottle::git {

// Holds the settings that bottle takes over, from one source or from several. Unless noted, values are as the file
// has them and may be hostile.
struct Settings {
  ObjectFormat format = ObjectFormat::sha1;
  bool bare = false;
  bool partial = false;  // objects may be missing, and git would fetch them from a promisor
  enum class Capitals { distinguished, ignored } capitals = Capitals::distinguished;  // in file names: core.ignoreCase
  int shared = 0;                    // mode bits that are added to those that the umask leaves
  std::string work_tree;             // core.worktree, unchanged; empty if it is not set
  std::vector<std::string> remotes;  // unchecked URLs
  std::set<std::string> filters;     // names of the filters that convert what is added to the index
  bool includes = false;    // the settings include other files, which were not read and may define more filters
  std::string name, email;  // user.name and user.email; empty if they are not set
  // For each branch, the remote that it follows and the ref on that remote. Both are unchecked.
  std::map<std::string, std::string> followed, merged;
  std::map<std::string, std::string> core;  // core.autocrlf and similar settings, to be written to bottle's own
                                            // configuration

  // Returns `core` as lines of a configuration file.
  std::string lines() const;
};

// Returns the settings of the operator's repository from `common`/config and, if that file asks for it,
// `own`/config.worktree. Does not follow includes. Fails with Code::invalid, with a message for the operator, if the
// repository is of an unsupported kind.
Result<Settings> settings_of(const Beneath& common, const Beneath& own);

// Where the operator's repository is. The conditions of includes are evaluated for it.
struct Place {
  std::string git_dir, branch;
  std::vector<std::string> remotes;
};

// The operator's own configuration (git-config(1): system and global), as git lists it. Empty if git does not
// understand it.
struct OperatorsConfiguration {
  std::string listed;
};

// Runs git outside any repository.
OperatorsConfiguration read_operators_configuration();

// Returns the operator's own settings as they apply in this repository, with includes. Runs git only for includes whose
// condition holds there.
Settings operators_settings(const OperatorsConfiguration& configuration, const Place& place);

// Returns whether one of git's patterns (wildmatch, where `**` crosses slashes) matches all of the text. Takes time
// proportional to the product of their lengths.
bool matches(std::string_view pattern, std::string_view text, bool ignore_case = false);

// Returns whether a pattern matches a path or a directory above it, as a line of .gitignore would: "dist/", "*.log",
// "/out/*.bin". Pure.
bool is_named(std::string_view pattern, std::string_view path);

}  // namespace bottle::git
