// Reads a tar stream that nobody vouches for, and lays its files below a directory from which they cannot escape.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/unique_fd.h"
#include "workspace/workspace.h"

namespace bottle::workspace {

struct TarEntry {
  enum class Kind { file, directory, symlink, hardlink, other } kind = Kind::other;
  std::string path, target;  // as they stand in the archive
  int mode = 0;
  uint64_t size = 0;  // of what body gives
};

// ustar, pax and GNU long names. Blocking. `body` gives the entry's bytes (0: the end); what the visitor leaves unread
// is passed over. A broken archive is Code::protocol; one that ends within an entry too.
using Visit = std::function<Result<>(const TarEntry&, const Source& body)>;
Result<> read_tar(const Source& source, const Visit& visit);

// Files and directories below a root. No component of a path is ever followed through a link, and none is made here
// until link() is called, after which nothing may be written any more.
class Tree {
 public:
  static Result<Tree> open(const std::string& root);

  // False: not possible here (a file where a directory should be); an error only for the disk's sake.
  Result<bool> directory(const std::vector<std::string>& path);
  Result<bool> file(const std::vector<std::string>& path, bool executable, const Source& body, uint64_t* bytes_left);
  // Takes a file away, if one is there. False: something else is.
  Result<bool> absent(const std::vector<std::string>& path);
  Result<bool> hardlink(const std::vector<std::string>& path, const std::vector<std::string>& to);
  Result<bool> link(const std::vector<std::string>& path, const std::string& target);

  // Directories that were made because something lies in them: one entry of an archive can name hundreds.
  uint64_t implied() const { return implied_; }

 private:
  Result<UniqueFd> parent(const std::vector<std::string>& path, bool create);
  UniqueFd root_;
  std::vector<std::string> cached_path_;
  UniqueFd cached_;
  uint64_t implied_ = 0;
};

}  // namespace bottle::workspace
