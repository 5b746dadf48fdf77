// Handles files on the disk as git would commit them.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/keyed_hash.h"
#include "workspace/quarantine/compare.h"
#include "workspace/quarantine/quarantine.h"

namespace bottle::workspace {

using Entries = std::map<std::string, git::Entry>;

// Changes of a tree: path → the new entry, or nothing to remove what is at the path.
using Edits = std::map<std::string, std::optional<git::Entry>>;

// Describes a commit to make.
struct NewCommit {
  std::string start;     // the commit whose tree is edited; empty for an empty tree
  bool is_child = true;  // `start` becomes its parent
  Edits edits;
  std::string message;
  // What differs between the base and `start`; mode "000000" means that it is removed. Null if this is not known.
  const Entries* moved = nullptr;
};

// Holds the ids of what write_objects() made.
struct NewObjects {
  std::vector<std::string> trees;
  std::string commit;  // empty if none was wanted
};

// Writes a tree for each of `trees`, which holds only those entries, and a commit. Fails with Code::unavailable if git
// would not store a path, or if an object is missing.
Result<NewObjects> write_objects(const Quarantine& q, const git::Runner& git, const std::vector<Entries>& trees,
                                 const std::optional<NewCommit>& commit);

// Returns the id of the empty tree, which git knows in every repository.
std::string empty_tree(git::ObjectFormat format);

// Adds the files in the directory `tree` to an index that holds the entries `tracked`. With `all`, adds ignored files
// too.
Result<Entries> add_files(const Quarantine& q, const git::Runner& git, const Conversions& conversions,
                          const std::string& tree, const Entries& tracked, bool all);

// Converts files of the directory `tree` from other encodings to UTF-8 in place, because git is not allowed to convert
// them. Reports files that cannot be converted. Returns the files that a filter would convert, with the names of the
// filters. git must not add these files, because filters are not run. Pointers of git-lfs are already in git's form.
Result<std::map<std::string, std::string>> prepare_files(Quarantine& q, const git::Runner& git, const std::string& tree,
                                                         const std::vector<std::string>& paths, bool name_them);

// Returns the paths that a filter would convert, whether they are on the disk or not. Reads the rules in the tree.
Result<KeyedSet<std::string>> filtered_of(const Quarantine& q, const git::Runner& git,
                                          const std::vector<std::string>& paths);

// Returns which of these paths the tree's rules ignore. If a directory came back as a link, what was below it counts as
// ignored if the link is ignored. The result may also contain that link.
Result<KeyedSet<std::string>> ignored_of(const Quarantine& q, const git::Runner& git,
                                         const std::vector<std::string>& paths);

}  // namespace bottle::workspace
