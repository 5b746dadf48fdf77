// Encodes the files of a checkout as git's attribute `working-tree-encoding` wants them.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "git/objects.h"
#include "git/run/git.h"

namespace bottle::workspace {

// Encodes the regular files among `entries` in the directory `tree`. git must have checked them out there without
// encoding them. Changes their entries in the index of `made` so that git compares the files again. Returns the files
// that stay in UTF-8, because bottle does not know their encoding or the encoding lacks one of their characters. Runs
// git only if .gitattributes may name an encoding.
Result<std::vector<std::string>> encode_files(const git::Runner& git, const git::Directory& made,
                                              const std::string& tree, const std::vector<git::Entry>& entries);

}  // namespace bottle::workspace
