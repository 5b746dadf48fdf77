// Reads an untrusted tar stream and writes its files below a directory, from which they cannot escape.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

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

// Adds up the sizes of the entries of one archive.
class SizeOfAll {
 public:
  // Fails with Code::limit if the entries have more than kMostWithHoles bytes together. Call it before the body is
  // read: the header tells the size before the zeros of a hole arrive.
  Result<> add(const TarEntry& entry);

 private:
  uint64_t bytes_ = 0;
};

// Writes files and directories below a root. Never follows a link in any component of a path. Makes no links before
// link() is called; after that, nothing else may be written.
class Tree {
 public:
  // Opens an existing directory. Fails with the error of the disk, even if it is a link.
  static Result<Tree> open(const std::string& root);
  // Closes the directory until it is needed again. Whoever has hundreds of trees cannot keep all of them open.
  void rest();

  // From now on, a file is not replaced or removed if this object has not written it at exactly this path. On a file
  // system that ignores case, or normalizes names, README and readme are the same file. Before this, the directory must
  // be empty.
  void keep_other_spellings() { written_.emplace(); }

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
  Result<> wake();
  Result<UniqueFd> parent(const std::vector<std::string>& path, bool create);
  enum class Other { none, file, directory };
  Result<Other> other_at(int parent, const std::vector<std::string>& path) const;
  void note_written(const std::vector<std::string>& path);
  std::string path_;
  UniqueFd root_;
  std::optional<std::unordered_set<size_t>> written_;  // hashes of paths
  std::vector<std::string> cached_path_;
  UniqueFd cached_;
  uint64_t implied_ = 0;
};

}  // namespace bottle::workspace
