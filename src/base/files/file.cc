// Writing atomically follows the usual recipe: a temporary file in the same directory, because rename(2) does not
// cross file systems; fsync(2) before the rename, because otherwise a crash may leave the new name with an empty
// file; and then the rename. The directory itself is not flushed, so after a crash, the file has either the old or
// the new content. Readers rely on no more than that.

#include "base/files/file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cstdio>

#include "base/defer.h"
#include "base/unique_fd.h"

namespace bottle {

Result<std::string> read_file(const std::string& path, size_t limit) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail_errno("reading " + path);
  return read_all(fd.get(), path, limit);
}

Result<std::string> read_all(int fd, const std::string& path, size_t limit) {
  std::string out;
  char buffer[65536];
  for (;;) {
    size_t n = TRY(read_some(fd, buffer, "reading " + path));
    if (n == 0) return out;
    out.append(buffer, n);
    // The size is counted while reading and not taken from fstat(2), because it is 0 for files in /proc, and because a
    // file can grow while it is read.
    if (out.size() > limit)
      return fail(Code::limit, "reading " + path + ": larger than " + std::to_string(limit) + " bytes");
  }
}

Result<size_t> read_some(int fd, std::span<char> to, std::string_view doing) {
  ssize_t n = 0;
  do n = ::read(fd, to.data(), to.size());
  while (n < 0 && errno == EINTR);
  if (n < 0) return fail_errno(doing);
  return static_cast<size_t>(n);
}

Source source_of(int fd, std::string doing) {
  return [fd, doing = std::move(doing)](char* to, size_t size) { return read_some(fd, {to, size}, doing); };
}

Result<> write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("writing");
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

Result<> write_file_atomically(const std::string& path, std::string_view bytes, int mode, std::optional<gid_t> group) {
  // The pid in the name keeps two processes that write the same file from sharing a temporary file. A file that an
  // earlier process with the same pid left is replaced, even if it is a link.
  std::string temporary = path + ".new." + std::to_string(::getpid());
  ::unlink(temporary.c_str());
  UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return fail_errno("creating " + temporary);
  // A file that was written only in part must not stay behind and use up the disk.
  Defer remove([&] { ::unlink(temporary.c_str()); });
  // A full disk usually fails here, before the existing file is touched.
  TRY(during(temporary, write_all(fd.get(), bytes)));
  // A group other than the one that was meant must not get its permissions.
  if (group && ::fchown(fd.get(), static_cast<uid_t>(-1), *group) != 0) mode &= ~070;
  // open(2) would give the file only those bits of the mode that the umask leaves.
  if (::fchmod(fd.get(), static_cast<mode_t>(mode)) != 0) return fail_errno("setting the mode of " + temporary);
  if (::fsync(fd.get()) != 0) return fail_errno("flushing " + temporary);
  if (std::rename(temporary.c_str(), path.c_str()) != 0) return fail_errno("renaming to " + path);
  remove.dismiss();
  return {};
}

Result<> write_new_file(const std::string& path, std::string_view bytes, int mode) {
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
  if (!fd) return fail_errno("creating " + path);
  return during(path, write_all(fd.get(), bytes));
}

Result<> make_directories(const std::string& path, int mode) {
  // Usually the directories above exist.
  if (::mkdir(path.c_str(), static_cast<mode_t>(mode)) == 0 || errno == EEXIST) return {};
  // The search begins after the first character, because the root directory exists.
  for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    std::string part = path.substr(0, slash);
    // Another process may create the same directory at the same time, so EEXIST is a success.
    if (!part.empty() && ::mkdir(part.c_str(), static_cast<mode_t>(mode)) != 0 && errno != EEXIST)
      return fail_errno("creating directory " + part);
    if (slash == std::string::npos) return {};
  }
}

}  // namespace bottle
