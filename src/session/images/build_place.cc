// A build keeps everything in one directory, even what mmdebstrap unpacks, so that one removal is enough. A directory
// belongs to a living build as long as it, or the file `lock` in it, is locked. A process that wants to remove one
// takes the locks first, and a build that finds its new directory locked or gone makes another one.
#include "session/images/build_place.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>
#include <set>

#include "base/defer.h"
#include "base/files/entries.h"
#include "base/files/file.h"
#include "base/ids.h"
#include "base/os/process.h"

namespace bottle::session {
namespace {

constexpr const char* kPrefix = "bottle-image-";
constexpr int kRemovalMs = 120'000;

std::string base_directory() {
  // A root file system has hundreds of megabytes, and /tmp is often in memory.
  const char* temporary = std::getenv("TMPDIR");
  return temporary && *temporary == '/' ? temporary : "/var/tmp";
}

// Returns the locks of a directory, or nothing if there is no such directory of this user, or if another process has
// one of them. NFS locks only a file that is open for writing, which a directory cannot be. The lock of the directory
// lasts until a removal has ended, so it is taken as well where the file system allows that. `flags` says how to open
// the file.
std::optional<PlaceLock> lock(const std::string& path, int flags = O_RDWR | O_CREAT) {
  struct stat st{};
  if (::lstat(path.c_str(), &st) != 0 || !S_ISDIR(st.st_mode) || st.st_uid != ::geteuid()) return {};
  PlaceLock both;
  auto directory = FileLock::try_take(path, {O_RDONLY | O_DIRECTORY});
  if (!directory && (directory.error().code == Code::conflict || directory.error().code == Code::not_found)) return {};
  if (directory) both.directory = *std::move(directory);
  auto file = FileLock::try_take(path + "/lock", {flags});
  if (file) both.file = *std::move(file);
  else if (file.error().code != Code::not_found || (flags & O_CREAT)) return {};
  return both;
}

// Removes the tree. Mounts in it stay, and so do the directories above them. On NFS, the directory cannot go as long as
// the lock file in it is open.
void remove_tree(const std::string& path, PlaceLock lock) {
  Defer remove_rest([&] {
    lock.file.reset();
    ::rmdir(path.c_str());
  });
  auto run = [](std::vector<std::string> argv) {
    (void)capture({.argv = std::move(argv)}, {.timeout_ms = kRemovalMs});
  };
  run({"rm", "-rf", "--one-file-system", "--", path});
  auto left = names_in(path).value_or(std::vector<std::string>());
  if (left.empty() || ::geteuid() == 0) return;
  // Without root, mmdebstrap unpacks as another user of a user namespace, and only that user can remove the files. It
  // cannot list our directory.
  std::vector<std::string> argv = {"mmdebstrap", "--unshare-helper", "rm", "-rf", "--one-file-system", "--"};
  for (const auto& name : left) argv.push_back(path + "/" + name);
  run(std::move(argv));
  run({"rm", "-rf", "--one-file-system", "--", path});
}

}  // namespace

Result<BuildPlace> BuildPlace::make() {
  const std::string base = base_directory();
  for (int tries = 0; tries < 10; ++tries) {
    std::string path = base + "/" + kPrefix + random_hex(8);
    if (::mkdir(path.c_str(), 0700) != 0) return fail_errno("creating " + path);
    auto claim = lock(path);
    if (!claim) continue;
    // mmdebstrap and apt may work as other users. Their directories have names that cannot be guessed.
    if (::chmod(path.c_str(), 0711) != 0) return fail_errno("setting the mode of " + path);
    return BuildPlace(std::move(path), *std::move(claim));
  }
  return fail(Code::internal,
              "making a directory for a build in " + base + ": another process removes or locks each one",
              "set TMPDIR to another directory and try again");
}

BuildPlace::~BuildPlace() {
  if (lock_.file->fd() >= 0) remove_tree(path_, std::move(lock_));  // otherwise, it was moved from
}

std::vector<std::string> abandoned_builds() {
  std::vector<std::string> paths;
  for (const auto& base : std::set<std::string>{base_directory(), "/var/tmp"})
    for (const auto& name : names_in(base).value_or(std::vector<std::string>()))
      if (std::string path = base + "/" + name; name.starts_with(kPrefix) && lock(path, O_RDWR)) paths.push_back(path);
  return paths;
}

Result<> remove_abandoned_build(const std::string& path) {
  auto claim = lock(path);
  if (!claim) return {};
  remove_tree(path, *std::move(claim));
  if (::access(path.c_str(), F_OK) == 0)
    return fail(Code::internal, "the directory " + path + " of an image build cannot be removed completely",
                "find out what is mounted in it or uses it, and remove it yourself");
  return {};
}

}  // namespace bottle::session
