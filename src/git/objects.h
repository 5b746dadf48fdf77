// Reads many objects from git with a single process.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/keyed_hash.h"
#include "git/run/git.h"

namespace bottle::git {

// Describes one file, link or submodule of a tree. The path is untrusted; the mode and the object id are as git writes
// them.
struct Entry {
  std::string path, mode, object;
};

// Returns every entry of a commit's tree, sorted by path. Submodules have the mode 160000. If `directories` is not
// null, adds the directories to it: path → id of the tree.
Result<std::vector<Entry>> list_tree(const Runner& git, const std::string& commit, const Runner::Options& where,
                                     KeyedMap<std::string, std::string>* directories = nullptr);

// Returns the contents of blobs of at most `most` bytes each, by id. Leaves out an object that is too large, is not a
// blob, is missing, or would exceed 64 MB in total.
Result<std::map<std::string, std::string>> small_blobs(const Runner& git, const std::vector<std::string>& ids,
                                                       size_t most, const Runner::Options& where);

// Streams blobs in the order of `ids`. Calls `blob` with the position of each id in `ids` and the size of the blob,
// then `data` with its bytes in pieces. Fails if an object is missing or is not a blob.
Result<> stream_blobs(const Runner& git, const std::vector<std::string>& ids, const Runner::Options& where,
                      const std::function<Result<>(size_t place, uint64_t size)>& blob,
                      const std::function<Result<>(std::string_view)>& data);

}  // namespace bottle::git
