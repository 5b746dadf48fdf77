// Keeps hostile paths inside a directory. Comparing path names is not enough, because a component can become a
// symbolic link between the check and the use. Each open is therefore relative to a descriptor of the root, and the
// kernel (openat2) or O_NOFOLLOW on each component refuses what would leave it. Every descriptor is opened with
// O_NONBLOCK and checked with fstat(2) afterward, so that a FIFO or a device in the place of a file can neither block
// this process nor change between the check and the read.

#include "base/files/beneath.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/defer.h"
#include "base/files/entries.h"
#include "base/files/file.h"
#include "base/files/open_inside.h"

namespace bottle {
namespace {

// Opens a path one component at a time, and refuses links.
int open_without_links(int root, const std::string& path, int flags) {
  UniqueFd parent;
  for (size_t from = 0;;) {
    size_t slash = path.find('/', from);
    std::string part = path.substr(from, slash == std::string::npos ? slash : slash - from);
    bool last = slash == std::string::npos;
    // O_NOFOLLOW affects only the last component of the path that openat(2) gets, so each call gets a single
    // component.
    int fd = ::openat(parent ? parent.get() : root, part.c_str(),
                      last ? flags | O_NOFOLLOW : O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && last) return fd;
    struct stat st{};
    int error = errno;
    if (fd < 0 && error == ENOTDIR &&
        ::fstatat(parent ? parent.get() : root, part.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode))
      error = ELOOP;  // the error of open(2) for a link depends on O_DIRECTORY
    // Sets errno again, because fstatat(2) may have changed it.
    if (fd < 0) {
      errno = error;
      return -1;
    }
    // The descriptor keeps the directory that was found, even if its name leads elsewhere from now on.
    parent.reset(fd);
    from = slash + 1;
  }
}

// Returns whether the path is relative, without "..". A NUL would end the path for the kernel, which would then open
// a different file than the one that was checked.
bool is_plain(const std::string& path) {
  if (path.empty() || path.starts_with('/') || path.find('\0') != std::string::npos) return false;
  // With a slash on both sides, every component can be found in the same way, including the first and the last.
  std::string whole = "/" + path + "/";
  return whole.find("/../") == std::string::npos;
}

}  // namespace

Result<Beneath> Beneath::open(const std::string& root, Links links) {
  Beneath beneath;
  beneath.root_ = root;
  beneath.links_ = links;
  beneath.fd_.reset(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!beneath.fd_) return fail_errno("opening " + root);
  return beneath;
}

// Returns nothing if there is no such entry, because most callers look for files that need not exist. Fails for an
// entry that only a hostile author would make.
Result<std::optional<UniqueFd>> Beneath::open_entry(const std::string& path, int flags) const {
  std::string name = root_ + "/" + path;
  if (!is_plain(path)) return fail(Code::invalid, "opening " + name + ": it is not below " + root_);
  // O_NONBLOCK keeps the open of a FIFO from waiting for a writer. O_NOCTTY keeps a terminal from becoming this
  // process's.
  flags |= O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  int fd = -1;
  errno = ENOSYS;
  if (links_ == Links::inside) fd = open_inside(fd_.get(), path, flags);
  // An old kernel has no openat2 (ENOSYS), and the seccomp profile of a container may refuse it (EPERM). In both cases
  // it is safe to refuse more than the caller asked for: all links.
  if (fd < 0 && (links_ == Links::refused || errno == ENOSYS || errno == EPERM))
    fd = open_without_links(fd_.get(), path, flags);
  if (fd >= 0) return std::optional(UniqueFd(fd));
  // ENOTDIR means that a file has the name of one of the directories, so nothing can exist below it.
  if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
  if (errno == ELOOP || errno == EXDEV)
    return fail(Code::denied,
                name + " is a symbolic link, or below one" +
                    (links_ == Links::inside ? ", that leads out of " + root_ : ", and bottle does not follow it"));
  // Opening a Unix socket fails with ENXIO (open(2)).
  if (errno == ENXIO) return fail(Code::denied, name + " is not a regular file");  // a socket
  return fail_errno("opening " + name);
}

Result<std::optional<UniqueFd>> Beneath::file(const std::string& path) const {
  auto fd = TRY(open_entry(path, 0));
  if (!fd) return std::nullopt;
  struct stat st{};
  if (::fstat(fd->get(), &st) != 0) return fail_errno("reading " + root_ + "/" + path);
  // The caller asked for a file, so a directory of that name means that there is none. A directory is harmless, so it
  // is not an error.
  if (S_ISDIR(st.st_mode)) return std::nullopt;
  if (!S_ISREG(st.st_mode)) return fail(Code::denied, root_ + "/" + path + " is not a regular file");
  return fd;
}

Result<std::optional<std::string>> Beneath::read(const std::string& path, size_t limit) const {
  auto fd = TRY(file(path));
  if (!fd) return std::nullopt;
  return std::optional(TRY(read_all(fd->get(), root_ + "/" + path, limit)));
}

Result<std::optional<UniqueFd>> Beneath::directory(const std::string& path) const {
  if (!path.empty()) return open_entry(path, O_DIRECTORY);
  // This makes a new open file description instead of a duplicate, because duplicates would share one position for
  // readdir(3).
  UniqueFd fd(::openat(fd_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail_errno("opening " + root_);
  return std::optional(std::move(fd));
}

// Entries come as the directory has them, without sorting, because a directory of a hostile repository can have a
// million.
Result<> Beneath::each(const std::string& path, size_t most,
                       const std::function<Result<>(const std::string&, unsigned char)>& visit) const {
  std::string name = path.empty() ? root_ : root_ + "/" + path;
  auto fd = TRY(directory(path));
  if (!fd) return {};
  DIR* dir = ::fdopendir(fd->get());
  if (!dir) return fail_errno("reading " + name);
  fd->release();  // closedir() closes it
  Defer close([&] { ::closedir(dir); });
  for (size_t seen = 0; const dirent* entry = TRY(next_entry(dir, name));) {
    std::string each = entry->d_name;
    if (++seen > most) return fail(Code::limit, name + " has more than " + std::to_string(most) + " entries");
    // Some file systems do not store the type in the directory, and report DT_UNKNOWN for all of its entries.
    unsigned char type = entry->d_type;
    struct stat st{};
    if (type == DT_UNKNOWN && ::fstatat(::dirfd(dir), each.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0)
      type = static_cast<unsigned char>(IFTODT(st.st_mode));
    TRY(visit(each, type));
  }
  return {};
}

}  // namespace bottle
