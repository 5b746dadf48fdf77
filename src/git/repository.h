// The operator's repository: found as git finds it, judged, and read as data. git itself is never run in it: its
// configuration, attributes and hooks may have been written by whoever made it (docs/decisions/009-…).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "git/directory.h"
#include "git/settings.h"

namespace bottle::git {

struct Repository {
  std::string top;                   // the work tree's root, absolute, without links
  std::string git_dir, common_dir;   // of this work tree, and of all of the repository's; often both top/.git
  std::vector<std::string> objects;  // where its objects are: its own directory first, then those it borrows from
  Settings settings;

  std::string shallow;  // the content of its file of that name; empty: the history is whole
};

// The repository whose work tree holds `directory` (absolute, without links), which may be far above it. Nothing: there
// is none, or it has no work tree. Code::denied: it belongs to somebody else, or to another directory than this, or is
// laid out with links. Other errors: it is broken, or of a kind that is not supported. Runs no git but to ask for
// safe.directory.
Result<std::optional<Repository>> find(const std::string& directory);

// The settings that are data as they hold in this repository: the operator's own ones (git is asked for them, in no
// repository), and above those what the repository sets.
Settings settings_in(const Repository& repository, const std::string& branch);

// The rules by which the operator ignores files in this repository beside those of the tree: his own file of them
// (core.excludesFile, which the repository has no say in), then info/exclude. Blocking; runs git.
struct IgnoreRules {
  std::string own, of_repository;
};
Result<IgnoreRules> ignore_rules(const Repository& repository, const std::string& branch);
// The first of them alone, where there is no repository.
std::string operators_ignore_rules();

// The attributes that a repository has beside those of the tree: info/attributes.
Result<std::string> own_attributes(const Repository& repository);

struct View {
  std::string head = "refs/heads/main";  // a ref or a commit
  std::string packed_refs;               // the refs that it has (packed() of refs.h)
  // For `git status`: these settings, a copy of the index, the rules of what is ignored, and attributes of which none
  // names a filter. Null: none of it, a bare repository.
  const Settings* settings = nullptr;
};

// A git directory of ours at `path`, in which the repository can be read: it borrows its objects.
Result<Directory> make_view(const Repository& repository, const std::string& path, const View& view);

}  // namespace bottle::git
