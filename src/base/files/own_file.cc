// Checks descriptors, not names: each function opens first and then calls fstat(2) on the result, so that nothing can
// be exchanged between the check and the use. The directory must belong to this user too, because the owner of a
// directory can put another file under any name in it.

#include "base/files/own_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files/file.h"
#include "base/text/shell_word.h"

namespace bottle {
namespace {

constexpr int kMostTries = 1000;  // how many times to open a file that is replaced again and again

// Fails if any user but this one could have written the file or directory.
Result<> check_owner(const struct stat& st, const std::string& path) {
  // This also refuses a file of root, unless this process runs as root.
  if (st.st_uid != ::geteuid())
    return fail(Code::denied, path + " belongs to another user (uid " + std::to_string(st.st_uid) + ")",
                "remove it, or run bottle as that user");
  // If the group or others can write to a directory, they can replace what is in it.
  if (st.st_mode & 022)
    return fail(Code::denied, path + " can be written to by others",
                "look at what is in it; if all of it is yours: chmod go-w " + shell_word(path));
  return {};
}

Result<> check_directory(int fd, const std::string& path) {
  struct stat st{};
  if (::fstat(fd, &st) != 0) return fail_errno("looking at " + path);
  return check_owner(st, path);
}

}  // namespace

Result<UniqueFd> open_own_directory(const std::string& path) {
  // O_NOFOLLOW concerns only the last component. Links in the directories above are followed.
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) {
    int number = errno;
    struct stat st{};
    // With O_DIRECTORY and O_NOFOLLOW, the error for a symbolic link is ENOTDIR on Linux and ELOOP on other systems.
    if ((number == ELOOP || number == ENOTDIR) && ::lstat(path.c_str(), &st) == 0) {
      if (S_ISLNK(st.st_mode)) return fail(Code::denied, path + " is a symbolic link", "remove it");
      return fail(Code::invalid, path + " is not a directory", "remove it");
    }
    return fail_errno("opening " + path, number);
  }
  TRY(check_directory(fd.get(), path));
  return fd;
}

Result<> check_own_directory(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail_errno("opening " + path);
  return check_directory(fd.get(), path);
}

Result<std::string> read_own_file(const UniqueFd& open_directory, const std::string& directory, const std::string& name,
                                  size_t limit) {
  std::string path = directory + "/" + name;
  for (int tries = 0;; ++tries) {
    // O_NONBLOCK keeps the open of a FIFO from waiting for a writer. For regular files it has no effect.
    UniqueFd fd(::openat(open_directory.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!fd && errno == ELOOP) return fail(Code::denied, path + " is a symbolic link", "remove it");
    if (!fd) return fail_errno("reading " + path);
    struct stat st{};
    if (::fstat(fd.get(), &st) != 0) return fail_errno("looking at " + path);
    if (!S_ISREG(st.st_mode)) return fail(Code::denied, path + " is not a regular file", "remove it");
    TRY(check_owner(st, path));
    // A file without a name was replaced after it was opened (write_file_atomically()), so the new one is read.
    if (st.st_nlink == 0 && tries < kMostTries) continue;
    if (st.st_nlink != 1)
      return fail(Code::denied, path + " has a second name elsewhere (a hard link)", "remove one of them");
    return read_all(fd.get(), path, limit);
  }
}

}  // namespace bottle
