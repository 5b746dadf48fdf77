// Finds the operator's repository as git does, checks it, and reads it as data. git itself never runs in it, because
// its author may have written its configuration, attributes and hooks (docs/decisions/009-…).
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "git/formats/index.h"
#include "git/run/directory.h"
#include "git/settings.h"

namespace bottle::git {

// Describes the operator's repository as find() judged it. Its content is a snapshot: git may change the repository
// meanwhile.
struct Repository {
  std::string top;                   // the root of the work tree: absolute, without links
  std::string git_dir, common_dir;   // of this work tree, and shared by all work trees; often both are top/.git
  std::vector<std::string> objects;  // object directories: its own first, then those it borrows from
  Settings settings;

  std::string shallow;  // the content of its file `shallow`; empty if the history is complete
  // How long to wait for a lock of its refs. git waits 0.1 s for a ref and 1 s for packed-refs.
  std::chrono::milliseconds lock_patience{2000};
};

// Finds the repository whose work tree holds `directory` (absolute, without links); its root may be far above. Returns
// nothing if there is no repository, or if it has no work tree. Fails with Code::denied if the repository belongs to
// another user or to another directory, or is laid out with links. Fails with other codes if it is broken or of an
// unsupported kind. Runs git only to read safe.directory.
Result<std::optional<Repository>> find(const std::string& directory);

// Returns the settings as they apply in this repository: the operator's own, overridden by the repository's.
Settings settings_in(const Repository& repository, const std::string& branch,
                     const OperatorsConfiguration& configuration);
// Does the same with what operators_settings() returned for this repository.
Settings settings_in(const Repository& repository, Settings operators);

// Returns the rules by which the operator ignores files anywhere: the content of the operator's own core.excludesFile,
// which a repository cannot set.
std::string ignore_rules(const Settings& operators);
// Returns the ignore rules that a repository has besides those in the tree: info/exclude.
Result<std::string> own_ignore_rules(const Repository& repository);

// Returns the attributes that a repository has besides those in the tree: info/attributes.
Result<std::string> own_attributes(const Repository& repository);

// Reads the index of this work tree, even if it is split into two files. Fails with Code::not_found if there is none.
Result<Index> read_index(const Repository& repository);

// Says what a view shows of the repository. The caller keeps `settings` until make_view() returns.
struct View {
  std::string head = "refs/heads/main";  // a ref or a commit
  std::string packed_refs;               // the refs of the view, as packed() in refs.h writes them
  // If set, the view works for `git status`: it has these settings, a copy of the index, the ignore rules, and the
  // repository's own attributes. If null, the view is a bare repository without these. In both cases, git converts
  // nothing but line ends and keywords.
  const Settings* settings = nullptr;
};

// Makes a git directory that belongs to bottle at `path`. The repository can be read through it, because it borrows the
// repository's objects.
Result<Directory> make_view(const Repository& repository, const std::string& path, const View& view);

}  // namespace bottle::git
