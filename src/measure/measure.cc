// The agent controls what is measured: the names, the depth, and what changes while the count runs. Every directory
// is therefore opened by descriptor from the one above it, without following links, and nothing is looked up by a
// path that the agent could exchange. Memory and descriptors are bounded, and when a bound is reached, the result is
// marked as incomplete; the caller decides what follows from that. A file that is deleted but open still takes space,
// but a walk over directories cannot find it, so the count also covers the descriptors of processes.

#include "measure/measure.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <set>
#include <sstream>
#include <utility>

#include "base/files/file.h"
#include "base/unique_fd.h"

namespace bottle::measure {
namespace {

constexpr int kDeepest = 400;            // one descriptor for each level
constexpr size_t kMostLinked = 500'000;  // how many files with several names are remembered, in about 30 MB
constexpr uint64_t kBlock = 512;         // the unit of st_blocks
constexpr int64_t kSecond = 1'000'000'000;

using Listing = std::unique_ptr<DIR, decltype([](DIR* dir) { ::closedir(dir); })>;

bool is_dots(const char* name) { return std::strcmp(name, ".") == 0 || std::strcmp(name, "..") == 0; }

// Returns the next entry; null at the end, when errno is 0, and after an error.
const dirent* next_in(const Listing& listing) {
  errno = 0;
  return ::readdir(listing.get());
}

// Identifies the mount that a file is in. The device number is not enough, because an unprivileged user can make
// btrfs subvolumes, each with its own number. Linux before 5.8 and gVisor report only the device.
struct Mount {
  uint64_t id = 0;
  bool is_device = false;
  bool operator==(const Mount&) const = default;
};

Mount mount_of(int fd) {
  struct statx st{};
  if (::statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) != 0) return {};
  // The mask says which fields the kernel has filled in.
  if (st.stx_mask & STATX_MNT_ID) return {st.stx_mnt_id};
  return {(uint64_t{st.stx_dev_major} << 32) | st.stx_dev_minor, true};
}

// Counts over several roots, so that a file with a name below each of them counts once.
class Count {
 public:
  explicit Count(timespec since) : since_(since) {}
  wire::WrittenCount result() const { return result_; }

  void tree(const std::string& root) {
    // A root that ends with / may be a link, such as /proc/1/root/.
    UniqueFd fd(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) return fail();
    roots_.push_back(mount_of(fd.get()));
    if (struct stat st{}; ::fstat(fd.get(), &st) == 0) devices_.insert(st.st_dev);
    directory(std::move(fd), roots_.back(), 0);
  }

  // Counts files without a name that a process still has open. They occupy the disk until it closes them.
  void deleted(const std::string& proc) {
    Listing processes(::opendir(proc.c_str()));
    if (!processes) return fail();
    while (const dirent* process = next_in(processes))
      if (process->d_name[0] >= '0' && process->d_name[0] <= '9') deleted_of(proc + "/" + process->d_name + "/fd");
    fail();
  }

 private:
  // Notes errno, if it is an error. A file that was removed or a process that ended in the meantime does not count.
  void fail() {
    if (errno != 0 && errno != ENOENT && errno != ESRCH) result_.complete = false;
  }

  void add(const struct stat& st) {
    // Compares with the time at which the container began, which leaves out what the image brought.
    bool is_old =
        st.st_ctim.tv_sec != since_.tv_sec ? st.st_ctim.tv_sec < since_.tv_sec : st.st_ctim.tv_nsec < since_.tv_nsec;
    if (is_old) return;
    // A file with several names counts once. If there are too many of these to remember, the others count once for
    // each name. This counts too much rather than too little.
    if (!S_ISDIR(st.st_mode) && st.st_nlink != 1) {
      if (linked_.contains({st.st_dev, st.st_ino})) return;
      if (linked_.size() < kMostLinked) linked_.insert({st.st_dev, st.st_ino});
    }
    // st_blocks counts only blocks on the disk, so holes in a file do not count.
    result_.bytes += std::max(static_cast<uint64_t>(st.st_blocks) * kBlock, kLeastFile);
  }

  // Counts what is in a directory. Each level of the recursion keeps one descriptor open.
  void directory(UniqueFd fd, Mount mount, int depth) {
    if (depth >= kDeepest) {
      result_.complete = false;
      return;
    }
    int at = fd.get();
    Listing listing(::fdopendir(at));
    if (!listing) return fail();
    (void)fd.release();  // the listing owns it
    while (const dirent* entry = next_in(listing))
      if (!is_dots(entry->d_name)) one(at, entry->d_name, mount, depth);
    fail();
  }

  // Counts one entry of a directory. Of a link, only the link itself counts.
  void one(int at, const char* name, Mount mount, int depth) {
    struct stat st{};
    if (::fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) != 0) return fail();
    if (!S_ISDIR(st.st_mode)) return add(st);
    UniqueFd below(::openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!below) return fail();
    // The opened directory may be another one than the one that was examined, so its mount is checked on the
    // descriptor.
    if (mount_of(below.get()) != mount) return;
    add(st);
    directory(std::move(below), mount, depth + 1);
  }

  void deleted_of(const std::string& list) {
    Listing entries(::opendir(list.c_str()));
    if (!entries) return;  // the process has ended
    while (const dirent* entry = next_in(entries)) {
      if (is_dots(entry->d_name)) continue;
      // The links in /proc/PID/fd lead to open files themselves, even to those without a name. O_PATH does not open a
      // device or wait for a FIFO.
      UniqueFd fd(::openat(::dirfd(entries.get()), entry->d_name, O_PATH | O_CLOEXEC));
      struct stat st{};
      if (fd && ::fstat(fd.get(), &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 0 && is_measured(fd.get(), st))
        add(st);
    }
    fail();
  }

  // Returns false for deleted files in memory (memfd, /dev/shm), because the memory limit covers them.
  bool is_measured(int fd, const struct stat& st) const {
    Mount mount = mount_of(fd);
    struct statfs system{};
    // With mount ids, a file in memory is in another mount than any of the roots. A volume is mounted twice, here and
    // where the process has it, on one device. If only devices are known, the type of the file system decides.
    if (!mount.is_device) return std::ranges::count(roots_, mount) > 0 || devices_.contains(st.st_dev);
    return ::fstatfs(fd, &system) == 0 && system.f_type != TMPFS_MAGIC && system.f_type != HUGETLBFS_MAGIC;
  }

  timespec since_;
  wire::WrittenCount result_;
  std::vector<Mount> roots_;
  std::set<dev_t> devices_;
  std::set<std::pair<dev_t, ino_t>> linked_;
};

}  // namespace

wire::WrittenCount measure(const std::vector<std::string>& roots, timespec since, const std::string& proc) {
  Count count(since);
  for (const auto& root : roots) count.tree(root);
  count.deleted(proc);
  return count.result();
}

timespec earliest_start(timespec since, const std::string& stat, const Clocks& clocks) {
  // The name of the program, in parentheses, may contain anything.
  std::istringstream fields(stat.substr(std::min(stat.rfind(')'), stat.size())));
  std::string skipped;
  for (int field = 2; field < 22; ++field) fields >> skipped;
  uint64_t ticks = 0;
  if (!(fields >> ticks) || clocks.ticks == 0) return since;
  auto nanoseconds = [](timespec time) { return time.tv_sec * kSecond + time.tv_nsec; };
  int64_t start = nanoseconds(clocks.real) - nanoseconds(clocks.boot) +
                  static_cast<int64_t>(ticks / clocks.ticks) * kSecond +
                  static_cast<int64_t>(ticks % clocks.ticks) * (kSecond / static_cast<int64_t>(clocks.ticks));
  int64_t first = std::min(nanoseconds(since), std::max<int64_t>(start, 0));
  return {first / kSecond, static_cast<long>(first % kSecond)};
}

int run(const std::vector<std::string>& arguments) {
  if (arguments.size() < 3) return 2;
  timespec since{std::strtoll(arguments[0].c_str(), nullptr, 10), std::strtol(arguments[1].c_str(), nullptr, 10)};
  Clocks clocks{.ticks = static_cast<uint64_t>(std::max(::sysconf(_SC_CLK_TCK), 0L))};
  if (::clock_gettime(CLOCK_REALTIME, &clocks.real) != 0 || ::clock_gettime(CLOCK_BOOTTIME, &clocks.boot) != 0)
    return 1;
  bool is_past = clocks.real.tv_sec < since.tv_sec;
  // Process 1 is the agent's, unless this program is in a process namespace of its own.
  bool is_alone = ::getpid() == 1;
  if (!is_alone) since = earliest_start(since, read_file("/proc/1/stat", 4096).value_or(""), clocks);
  auto measured = measure({arguments.begin() + 2, arguments.end()}, since);
  if (is_alone && is_past) measured.complete = false;
  return write_all(STDOUT_FILENO, wire::encode(measured) + "\n") ? 0 : 1;
}

}  // namespace bottle::measure
