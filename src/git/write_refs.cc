// Does by hand what `git update-ref` does, because that command would run the repository's hook
// `reference-transaction`. Writers take NAME.lock with O_EXCL, write the new content into it and rename it over NAME,
// so that readers never see half a file. Each directory on the way is opened by descriptor and without following
// links, because the repository may contain links that would lead the write elsewhere. Only refs below refs/bottle/
// can be written or removed.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>

#include "base/defer.h"
#include "base/files/beneath.h"
#include "base/files/durable.h"
#include "base/files/file.h"
#include "base/os/deadline.h"
#include "base/text/line.h"
#include "base/text/path_parts.h"
#include "base/text/words.h"
#include "git/refs.h"
#include "git/run/git.h"

namespace bottle::git {
namespace {

constexpr std::string_view kOurs = "refs/bottle/";

// Returns the error for a ref that cannot be written.
std::unexpected<Error> cannot(const std::string& name, const std::string& why, Code code = Code::conflict,
                              const std::string& todo = "") {
  return fail(code, "writing " + one_line(name, 1024) + ": " + why, todo);
}

// Opens a directory below the repository's, and makes it if `create` is set. Does not follow links.
Result<UniqueFd> enter(const Repository& repository, const std::string& path, bool create) {
  // find() has resolved this path, so a link in it was put there by the operator.
  UniqueFd at(::open(repository.common_dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!at) return fail_errno("opening " + repository.common_dir);
  for (size_t from = 0; from < path.size();) {
    size_t slash = std::min(path.find('/', from), path.size());
    std::string part = path.substr(from, slash - from);
    from = slash + 1;
    // With core.sharedRepository, other users must be able to add refs later. Where a group may read, it must also be
    // able to search, and S_ISGID makes what is created inside belong to the same group (git's adjust_shared_perm()).
    bool is_new = create && ::mkdirat(at.get(), part.c_str(), 0777) == 0;
    if (is_new) TRY(flush_directory(at.get(), "the directory of " + path));
    if (is_new && repository.settings.shared) {
      struct stat st{};
      auto bits = static_cast<mode_t>(repository.settings.shared);
      if (::fstatat(at.get(), part.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0)
        (void)!::fchmodat(at.get(), part.c_str(), (st.st_mode & 07777) | bits | ((bits & 0444) >> 2) | S_ISGID, 0);
    }
    UniqueFd next(::openat(at.get(), part.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!next && errno == ENOTDIR) return cannot(path, part + " is already a ref, or is a link");
    if (!next) return fail_errno("opening " + path);
    at = std::move(next);
  }
  return at;
}

// Holds NAME.lock in a directory, which keeps other writers out. Removes the file unless it has replaced NAME.
class Lock {
 public:
  static Result<Lock> take(UniqueFd directory, const std::string& name, int shared,
                           std::chrono::milliseconds patience) {
    Lock lock;
    lock.directory_ = std::move(directory);
    lock.name_ = name;
    std::string file = name + ".lock";
    auto deadline = Deadline::in(patience);
    for (;;) {
      lock.fd_.reset(
          ::openat(lock.directory_.get(), file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666));
      if (lock.fd_) break;
      if (errno != EEXIST) return fail_errno("creating " + file);
      // The lock may belong to a git that runs, or have been left by one that was killed. Only the operator can tell.
      if (deadline.is_over())
        return cannot(name, "another git command has " + file + " open, or did not remove it", Code::conflict,
                      "if no git command runs in that repository, remove that file");
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    struct stat st{};
    if (shared && ::fstat(lock.fd_.get(), &st) == 0)
      // The lock becomes the ref, so it gets the ref's permissions now.
      ::fchmod(lock.fd_.get(), (st.st_mode & 07777) | static_cast<mode_t>(shared));
    return lock;
  }
  Lock(Lock&&) = default;
  ~Lock() {
    if (fd_) ::unlinkat(directory_.get(), (name_ + ".lock").c_str(), 0);
  }

  // Writes the content and renames the file to NAME.
  Result<> commit(std::string_view content) {
    TRY(write_all(fd_.get(), content));
    if (::fsync(fd_.get()) != 0) return fail_errno("flushing " + name_);
    // An empty directory of that name must not block the ref. unlinkat(2) removes nothing else: it fails if the
    // directory is not empty, or if NAME is a file.
    ::unlinkat(directory_.get(), name_.c_str(), AT_REMOVEDIR);
    if (::renameat(directory_.get(), (name_ + ".lock").c_str(), directory_.get(), name_.c_str()) != 0) {
      if (errno == EISDIR || errno == ENOTEMPTY || errno == EEXIST)
        return cannot(name_, "other refs begin with that name");
      return fail_errno("writing " + name_);
    }
    // Tells the destructor that the lock file is no longer there.
    fd_.reset();
    return flush_directory(directory_.get(), "the directory of " + name_);
  }

  int directory() const { return directory_.get(); }

 private:
  Lock() = default;
  UniqueFd directory_, fd_;
  std::string name_;
};

std::pair<std::string, std::string> split(const std::string& name) {
  return {parent_of(name), std::string(name_in(name))};
}

// Guards against our own mistakes: no caller may pass another name.
Result<> check_ours(const std::string& name) {
  if (name.starts_with(kOurs) && is_ref_name(name)) return {};
  return fail(Code::internal, one_line(name, 200) + " is not one of bottle's refs");
}

Result<std::string> packed_refs(const Repository& repository) {
  return TRY(TRY(Beneath::open(repository.common_dir)).read("packed-refs", kLargestPackedRefs)).value_or("");
}

// Removes refs from packed-refs, under its lock.
Result<> unpack(const Repository& repository, const std::vector<std::string>& names) {
  auto is_named = [&](std::string_view line) {
    size_t space = line.find(' ');
    return space != std::string_view::npos && !line.starts_with('#') &&
           std::ranges::find(names, line.substr(space + 1)) != names.end();
  };
  auto without = [&](std::string_view text) {
    std::string out;
    bool dropped = false;
    for (std::string_view line : each_line(text)) {
      if (!line.starts_with('^')) dropped = is_named(line);  // a line with ^ belongs to the tag on the line before
      if (!dropped) out.append(line) += '\n';
    }
    return out;
  };
  std::string text = TRY(packed_refs(repository));
  // Most refs are not packed, and then no lock is needed.
  if (without(text).size() == text.size()) return {};
  Lock lock = TRY(Lock::take(TRY(enter(repository, "", false)), "packed-refs", repository.settings.shared,
                             repository.lock_patience));
  // Reads the file once more, because it may have changed before the lock was taken.
  return lock.commit(without(TRY(packed_refs(repository))));
}

// Removes directories that have become empty, up to `top`.
void prune(const Repository& repository, std::string path, const std::string& top) {
  for (; path.starts_with(top + "/"); path = split(path).first) {
    // A directory that is not empty cannot be removed, which ends the loop.
    auto [parent, name] = split(path);
    auto at = enter(repository, parent, false);
    if (!at || ::unlinkat(at->get(), name.c_str(), AT_REMOVEDIR) != 0) return;
  }
}

// Removes the file of a ref and its log. Succeeds if there is none.
Result<> delete_loose(const Repository& repository, const std::string& name) {
  auto [path, file] = split(name);
  // The log goes first. If the ref then cannot be removed, it only lacks its history, whereas a log without a ref
  // would block refs below its name.
  for (const std::string& below : {std::string("logs/") + path, path}) {
    auto directory = enter(repository, below, false);
    if (!directory) continue;  // there is no such ref
    if (below == path) {
      // The lock keeps a git process that is writing the ref at this moment from bringing it back.
      Lock lock = TRY(Lock::take(std::move(*directory), file, 0, repository.lock_patience));
      if (::unlinkat(lock.directory(), file.c_str(), 0) != 0 && errno != ENOENT && errno != EISDIR)
        return fail_errno("removing " + name);
    } else {
      ::unlinkat(directory->get(), file.c_str(), 0);
    }
  }
  return {};
}

}  // namespace

// Checks for conflicts with packed refs first. Conflicts with loose refs appear when the file is renamed.
Result<> write_ref(const Repository& repository, const std::string& name, const std::string& id) {
  TRY(check_ours(name));
  if (!is_object_id(id)) return fail(Code::internal, "not an object id");
  auto [path, file] = split(name);
  // A packed ref has no file, so the file system would not report a conflict with it.
  for (const auto& [other, unused] : parse_packed_refs(TRY(packed_refs(repository)), kOurs))
    if (other.starts_with(name + "/") || name.starts_with(other + "/"))
      return cannot(name, "the ref " + one_line(other, 1024) + " exists");
  Lock lock =
      TRY(Lock::take(TRY(enter(repository, path, true)), file, repository.settings.shared, repository.lock_patience));
  return lock.commit(id + "\n");
}

// Directories are removed last, when all refs in them are gone.
Result<> delete_refs(const Repository& repository, const std::vector<std::string>& names) {
  if (names.empty()) return {};
  for (const auto& name : names) TRY(check_ours(name));
  // The packed value goes first. Otherwise, the ref would have its old packed value again as soon as its file is gone.
  TRY(unpack(repository, names));
  for (const auto& name : names) TRY(delete_loose(repository, name));
  for (const auto& name : names) {
    prune(repository, split(name).first, "refs/bottle");
    prune(repository, "logs/" + split(name).first, "logs/refs/bottle");
  }
  return {};
}

}  // namespace bottle::git
