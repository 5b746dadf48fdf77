// Reads an untrusted tar stream and writes its files below a directory, from which they cannot escape.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/unique_fd.h"
#include "workspace/files/transfer.h"

namespace bottle::workspace {

// The header of one entry. Nothing in it is checked: the path may lead anywhere.
struct TarEntry {
  enum class Kind { file, directory, symlink, hardlink, other } kind = Kind::other;
  std::string path, target;  // unchanged from the archive
  int mode = 0;
  uint64_t size = 0;  // bytes that `body` returns
};

// Reads ustar, pax and GNU long names. Blocks. `body` returns the entry's bytes and 0 at the end; bytes that the
// visitor leaves unread are skipped. Fails with Code::protocol if the archive is broken, and with Code::closed if it
// ends before its end mark (two empty blocks).
using Visit = std::function<Result<>(const TarEntry&, const Source& body)>;
Result<> read_tar(const Source& source, const Visit& visit);

// Writes files and directories below a root. Never follows a link in any component of a path. Makes no links before
// link() is called; after that, nothing else may be written.
class Tree {
 public:
  // Opens an existing directory. Fails with the error of the disk, even if it is a link.
  static Result<Tree> open(const std::string& root);

  // These return false if the entry cannot be made here (a file where a directory should be). They fail only on errors
  // of the disk.
  Result<bool> directory(const std::vector<std::string>& path);
  Result<bool> file(const std::vector<std::string>& path, bool executable, const Source& body, uint64_t* bytes_left);
  // Removes a file if there is one. Returns false if something other than a file is there.
  Result<bool> absent(const std::vector<std::string>& path);
  Result<bool> hardlink(const std::vector<std::string>& path, const std::vector<std::string>& to);
  Result<bool> link(const std::vector<std::string>& path, const std::string& target);

  // Returns how many directories were made only because something lies in them: one entry of an archive can name
  // hundreds.
  uint64_t implied() const { return implied_; }

 private:
  Result<UniqueFd> parent(const std::vector<std::string>& path, bool create);
  UniqueFd root_;
  std::vector<std::string> cached_path_;
  UniqueFd cached_;
  uint64_t implied_ = 0;
};

}  // namespace bottle::workspace
