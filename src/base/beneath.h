// Reading below a directory whose content somebody else may have arranged, such as a cloned repository.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/unique_fd.h"

namespace bottle {

// Opens nothing outside of the directory, waits for nothing (a FIFO is an error) and reads no more than it is told.
// Paths are relative, without "..". Blocking only as a disk is.
class Beneath {
 public:
  // What becomes of a symbolic link on the way: an error, or it may lead to a place below the directory. Where the
  // kernel has no openat2(2), every link is an error.
  enum class Links { refused, inside };

  static Result<Beneath> open(const std::string& root, Links links = Links::refused);

  // Nothing: there is no such file (a directory is none). Code::denied: it is a link, or no regular file. Code::limit:
  // it is larger.
  Result<std::optional<std::string>> read(const std::string& path, size_t limit) const;
  Result<std::optional<UniqueFd>> file(const std::string& path) const;
  Result<std::optional<UniqueFd>> directory(const std::string& path) const;  // "": the directory itself

  // Calls `visit` with the name and dirent's d_type (DT_UNKNOWN is resolved) of each entry, in the disk's order; of
  // none where there is no such directory. Code::limit: it has more than `most` entries.
  Result<> each(const std::string& path, size_t most,
                const std::function<Result<>(const std::string& name, unsigned char type)>& visit) const;

  const std::string& root() const { return root_; }

 private:
  Result<std::optional<UniqueFd>> open_entry(const std::string& path, int flags) const;
  std::string root_;
  UniqueFd fd_;
  Links links_ = Links::refused;
};

}  // namespace bottle
