// Reads files below a directory whose content may be hostile, such as a cloned repository.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/unique_fd.h"

namespace bottle {

// Opens nothing outside the directory, never waits (a FIFO is an error), and reads no more than its caller allows.
// Paths are relative, without "..". Calls block only as long as the disk does.
class Beneath {
 public:
  // Says whether every symbolic link in a path is an error, or a link may lead to a place below the directory. If the
  // kernel has no openat2(2), every link is an error.
  enum class Links { refused, inside };

  // Opens the root, which must be a directory. `root` comes from us or the operator: links in it are followed. Fails
  // with Code::not_found if it does not exist.
  static Result<Beneath> open(const std::string& root, Links links = Links::refused);

  // Returns the content or a descriptor; nothing if there is no such file, or if it is a directory. Fails with
  // Code::denied if it is a link or not a regular file, and with Code::limit if it is larger than `limit`.
  Result<std::optional<std::string>> read(const std::string& path, size_t limit) const;
  Result<std::optional<UniqueFd>> file(const std::string& path) const;
  Result<std::optional<UniqueFd>> directory(const std::string& path) const;  // "" names the directory itself

  // Calls `visit` with the name and the d_type (never DT_UNKNOWN) of each entry, in the order of the disk. Stops at the
  // first error of `visit`. Does nothing if there is no such directory. Fails with Code::limit beyond `most` entries.
  Result<> each(const std::string& path, size_t most,
                const std::function<Result<>(const std::string& name, unsigned char type)>& visit) const;

  // Returns the path as it was given to open(), for messages.
  const std::string& root() const { return root_; }

 private:
  Result<std::optional<UniqueFd>> open_entry(const std::string& path, int flags) const;
  std::string root_;
  UniqueFd fd_;
  Links links_ = Links::refused;
};

}  // namespace bottle
