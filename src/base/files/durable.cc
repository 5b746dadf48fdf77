// A file survives a power failure once the file and the directory with its name are both flushed (fsync(2)). The same
// holds for a new directory and the directory that it is in.
#include "base/files/durable.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "base/files/file.h"
#include "base/files/flush_file_system.h"
#include "base/ids.h"
#include "base/text/path_parts.h"
#include "base/unique_fd.h"

namespace bottle {

Result<> flush_directory(int fd, const std::string& name) {
  if (::fsync(fd) == 0) return {};
  for (int error : {EINVAL, ENOTSUP, EOPNOTSUPP, EBADF, ENOSYS})
    if (errno == error) return {};
  return fail_errno("flushing " + name);
}

Result<> flush(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd) return fail_errno("opening " + path);
  struct stat st{};
  if (::fstat(fd.get(), &st) == 0 && S_ISDIR(st.st_mode)) return flush_directory(fd.get(), path);
  if (::fsync(fd.get()) != 0 && errno != EINVAL) return fail_errno("flushing " + path);
  return {};
}

namespace {

// Returns whether a directory has so many entries that flushing its file system takes less time than flushing each.
Result<bool> has_many(const std::string& path) {
  constexpr int kFew = 256;
  namespace fs = std::filesystem;
  std::error_code error;
  int entries = 0;
  for (fs::recursive_directory_iterator each(path, error), end; !error && each != end; each.increment(error))
    if (++entries > kFew) return true;
  if (error) return fail_errno("reading " + path, error.value());
  return false;
}

}  // namespace

Result<> flush_tree(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  if (TRY(has_many(path))) {
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) return fail_errno("opening " + path);
    // The directory that the tree is in is on this file system too.
    if (flush_file_system(fd.get()) == 0) return {};
    if (errno != ENOSYS) return fail_errno("flushing " + path);
  }
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

Result<UnfinishedDirectory> UnfinishedDirectory::make(const std::string& parent, const std::string& name) {
  UnfinishedDirectory made(parent, name, parent + "/" + kUnfinished + name + "-" + random_hex(4));
  TRY(make_directories(made.path_));
  return made;
}

UnfinishedDirectory::~UnfinishedDirectory() {
  if (std::error_code ignored; !path_.empty()) std::filesystem::remove_all(path_, ignored);
}

Result<> UnfinishedDirectory::publish() {
  std::string path = parent_ + "/" + name_;
  // rename(2) decides atomically whether the name is free, because it replaces only an empty directory.
  if (::rename(path_.c_str(), path.c_str()) != 0) {
    if (errno == EEXIST || errno == ENOTEMPTY || errno == ENOTDIR)
      return fail(Code::conflict, path + " already exists");
    return fail_errno("creating " + path);
  }
  path_.clear();
  return flush(parent_);
}

}  // namespace bottle
