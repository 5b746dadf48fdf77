// A temporary directory for one action on a workspace.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/files/file.h"
#include "base/ids.h"

namespace bottle::workspace {

// Owns a directory, and removes it with everything in it.
class ScratchDirectory {
 public:
  // Makes a new directory (mode 0700) below `parent`, which need not exist. Its name begins with `purpose`.
  static Result<ScratchDirectory> make(const std::string& parent, std::string_view purpose) {
    std::string path = parent + "/" + std::string(purpose) + "-" + random_hex(4);
    TRY(make_directories(path));
    return ScratchDirectory(std::move(path));
  }
  ScratchDirectory(ScratchDirectory&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  ScratchDirectory& operator=(ScratchDirectory&&) = delete;
  ~ScratchDirectory() {
    if (std::error_code ignored; !path_.empty()) std::filesystem::remove_all(path_, ignored);
  }

  const std::string& path() const { return path_; }

 private:
  explicit ScratchDirectory(std::string path) : path_(std::move(path)) {}

  std::string path_;  // empty once the directory belongs to another object
};

}  // namespace bottle::workspace
