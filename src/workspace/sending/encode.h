// Encodes the files of a checkout as git's attribute `working-tree-encoding` wants them.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "git/objects.h"
#include "git/run/git.h"

namespace bottle::workspace {

// Encodes the regular files among `entries` in the directory `tree`, which must be a checkout of them by a git that
// does not do so itself. Sets their entries in the index of `made` to be compared again. Returns the files in encodings
// that bottle does not know, or that have no form in theirs; they stay in UTF-8. Runs git only if there are such rules.
Result<std::vector<std::string>> encode_files(const git::Runner& git, const git::Directory& made,
                                              const std::string& tree, const std::vector<git::Entry>& entries);

}  // namespace bottle::workspace
