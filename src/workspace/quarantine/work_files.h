// Handles files on the disk as git would commit them.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/keyed_hash.h"
#include "workspace/quarantine/compare.h"
#include "workspace/quarantine/quarantine.h"

namespace bottle::workspace {

using Entries = std::map<std::string, git::Entry>;

// Return a line for `git update-index --index-info -z`, which sets an entry of an index or removes it.
std::string index_line(const git::Entry& entry);
std::string removal_line(const Quarantine& q, const std::string& path);

// Adds lines from index_line() and removal_line() to an index that holds `start` (a tree or a commit; empty for
// nothing), and writes the index as a tree.
Result<std::string> write_tree(const Quarantine& q, const git::Runner& git, const std::string& start,
                               const std::string& lines);

// Writes a tree that holds only these entries.
Result<std::string> write_tree_of(const Quarantine& q, const git::Runner& git, const Entries& entries);

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
