// Files on the disk as git would commit them.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "workspace/left.h"
#include "workspace/quarantine.h"

namespace bottle::workspace {

using Entries = std::map<std::string, git::Entry>;

std::string index_line(const git::Entry& entry);
std::string gone_line(const std::string& path);

// Puts lines of index_line() and gone_line() into an index that holds `start` (a tree or commit; empty: nothing), and
// writes it as a tree.
Result<std::string> write_tree(const Quarantine& q, const git::Runner& git, const std::string& start,
                               const std::string& lines);

// Adds what is in the directory `tree` to an index that holds the lines `tracked`. `all`: also what is ignored.
Result<Entries> add_files(const Quarantine& q, const git::Runner& git, const Conversions& conversions,
                          const std::string& tree, const std::string& tracked, bool all);

// Files of the directory `tree` that are in another encoding become UTF-8 there, since git is not let convert them.
// Those that cannot, and those that a filter should convert, are named as left as they are.
Result<> prepare_files(Quarantine& q, const git::Runner& git, const std::string& tree,
                       const std::vector<std::string>& paths, bool name_them);

// Which of these paths are ignored in the tree.
Result<std::unordered_set<std::string>> ignored_of(const Quarantine& q, const git::Runner& git,
                                                   const std::vector<std::string>& paths);

}  // namespace bottle::workspace
