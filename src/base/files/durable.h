// Writes files so that they survive a power failure.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace bottle {

// Flushes a file, or the names in a directory but not the files that they name, to the disk. Blocks.
Result<> flush(const std::string& path);

// Flushes the names in an open directory. Succeeds if its file system cannot do that. `name` is for the error. Blocks.
Result<> flush_directory(int fd, const std::string& name);

// Flushes a directory with everything below it, and the directory that it is in. Does not follow links. Blocks.
Result<> flush_tree(const std::string& path);

// Does what write_file_atomically() does, and returns once the file would survive a power failure under its name.
Result<> write_file_durably(const std::string& path, std::string_view bytes, int mode = 0600);

// The name of a directory that is not complete yet begins with this.
inline constexpr const char* kUnfinished = ".new-";

// Prepares a directory under a temporary name, so that other processes see it complete or not at all. The destructor
// removes it unless it was published.
class UnfinishedDirectory {
 public:
  // Makes a directory (mode 0700) in `parent`, which must exist.
  static Result<UnfinishedDirectory> make(const std::string& parent, const std::string& name);
  ~UnfinishedDirectory();
  UnfinishedDirectory(UnfinishedDirectory&& other) noexcept
      : parent_(std::move(other.parent_)), name_(std::move(other.name_)), path_(std::exchange(other.path_, {})) {}
  UnfinishedDirectory& operator=(UnfinishedDirectory&&) = delete;

  // Returns the present path.
  const std::string& path() const { return path_; }
  // Gives the directory its name. Returns once the name would survive a power failure. Fails with Code::conflict if the
  // name belongs to a directory with files, or to a file.
  Result<> publish();

 private:
  UnfinishedDirectory(std::string parent, std::string name, std::string path)
      : parent_(std::move(parent)), name_(std::move(name)), path_(std::move(path)) {}

  std::string parent_, name_;
  std::string path_;  // empty once it was published
};

}  // namespace bottle
