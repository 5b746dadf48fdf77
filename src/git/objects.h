// What git keeps, read in bulk: one process for any number of objects.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "git/git.h"

namespace bottle::git {

struct Entry {
  std::string path, mode, object;
};

// Everything in a commit's tree, sorted by path; submodules have the mode 160000.
Result<std::vector<Entry>> list_tree(const Runner& git, const std::string& commit, const Runner::Options& where);

// The contents of blobs of at most `most` bytes each, by id. Absent: too large, no blob, not there, or beyond 64 MB in
// all.
Result<std::map<std::string, std::string>> small_blobs(const Runner& git, const std::vector<std::string>& ids,
                                                       size_t most, const Runner::Options& where);

// Streams blobs in the order of `ids`. `blob` gets each one's place in `ids` and its size, and `data` its bytes in
// pieces; an object that is not there or no blob is an error.
Result<> stream_blobs(const Runner& git, const std::vector<std::string>& ids, const Runner::Options& where,
                      const std::function<Result<>(size_t place, uint64_t size)>& blob,
                      const std::function<Result<>(std::string_view)>& data);

}  // namespace bottle::git
