// A file survives a power failure once the file and the directory with its name are both flushed (fsync(2)). The same
// holds for a new directory and the directory that it is in.
#include "base/files/durable.h"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>

#include "base/files/file.h"
#include "base/unique_fd.h"

namespace bottle {

Result<> flush(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd) return fail_errno("opening " + path);
  // Some file systems cannot flush a directory and fail with EINVAL.
  if (::fsync(fd.get()) != 0 && errno != EINVAL) return fail_errno("flushing " + path);
  return {};
}

Result<> flush_tree(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  for (fs::recursive_directory_iterator each(path, error), end; !error && each != end; each.increment(error)) {
    auto kind = each->symlink_status(error).type();
    if (kind == fs::file_type::regular || kind == fs::file_type::directory) TRY(flush(each->path().string()));
  }
  if (error) return fail_errno("reading " + path, error.value());
  TRY(flush(path));
  return flush(parent_of(path));
}

Result<> write_file_durably(const std::string& path, std::string_view bytes, int mode) {
  TRY(write_file_atomically(path, bytes, mode));
  return flush(parent_of(path));
}

}  // namespace bottle
