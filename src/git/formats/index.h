// Parses git's index as untrusted data (gitformat-index(5)).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "git/formats/object_format.h"

namespace bottle::git {

// Describes one file of the index. Its path may contain anything except a NUL, even "..".
struct IndexEntry {
  std::string path, mode, object;  // the mode as git writes it, such as 100644; the path is unchecked
  uint32_t size = 0;               // of the file in the work tree when it was staged, in bytes, modulo 2^32
  uint32_t stage = 0;              // 1 to 3 in an unresolved merge: the common version, ours, theirs
  uint64_t modified = 0;           // when that file was modified, in nanoseconds since 1970
  bool is_hidden = false;          // the checkout leaves the file out, as a sparse checkout does (skip-worktree)
};

// Holds what parse_index() found: the entries in the order of the index.
struct Index {
  std::vector<IndexEntry> entries;
  bool has_directories = false;  // it stands for some directories as a whole, which are not in `entries`
};

// Returns the bytes of the file sharedindex.ID, to which an index that is split into two files refers.
using SharedIndex = std::function<Result<std::string>(const std::string& id)>;

// Reads an index of version 2, 3 or 4, in a repository with this format of ids. Leaves out files that `git add
// --intent-to-add` announced, because the index has no content for them. Does not verify the checksum, because git can
// be told to leave it out. Fails with Code::protocol for what git would refuse, and without `shared` for an index that
// is split into two files. Fails with Code::limit if there are more than a million entries, or more than 128 MB of
// paths.
Result<Index> parse_index(std::string_view bytes, ObjectFormat format, const SharedIndex& shared = nullptr);

// Returns an index in version 2 with the path, mode and object of these entries, up to the checksum: the hash of the
// whole, which follows. The entries must be sorted by path. git treats each file as one that may have changed. Fails
// with Code::invalid if an object is not an id.
Result<std::string> index_of(const std::vector<IndexEntry>& entries);

}  // namespace bottle::git
