// Each check calls statvfs(2), and the trigger decides whether to count. A count runs on its own thread, so that the
// supervisor's loop never waits for the engine; a later check takes its result. An agent is stopped for three
// reasons: the count is over the limit, the disk is almost full, or counting failed three times in a row. The last
// reason is needed because an agent that could prevent the count would have no limit.
#include "session/disk/disk_watch.h"

#include <sys/statvfs.h>
#include <sys/utsname.h>

#include <filesystem>
#include <set>

#include <nlohmann/json.hpp>

#include "base/future.h"
#include "base/os/system_facts.h"
#include "base/units.h"
#include "session/disk/mounts.h"
#include "session/ledger/ledger_file.h"

namespace bottle::session {
namespace {

using wire::EngineStorage, wire::Job;
using namespace std::chrono_literals;
using nlohmann::json;

constexpr int kMostFailures = 3;
// A file system can run out of inodes while it has space, so each one counts like a small file.
constexpr uint64_t kInode = 4096;

// Returns whether a count failed because of the agent or because of our own mistake. In all other cases, the agent
// has ended, the engine cannot be reached, or the meter cannot be recorded, because the disk with the ledger is full.
// That disk may be the engine's, and the agent may have filled it, so this counts as a failure too if nothing shows how
// full the engine's disk is.
bool is_failure(const Error& error, bool shows_disk) {
  if (LedgerFile::caused(error)) return !shows_disk;
  return error.code != Code::not_found && error.code != Code::conflict && error.code != Code::unavailable &&
         error.code != Code::closed;
}

// Returns whether a directory's entry, such as volumes/, is a link, which may lead to another disk. Only root can read
// the directory of an engine that is not rootless.
bool has_link_to_elsewhere(const std::string& directory) {
  std::error_code unreadable;
  for (const auto& entry : std::filesystem::directory_iterator(directory, unreadable))
    if (std::error_code gone; entry.is_symlink(gone)) return true;
  return false;
}

}  // namespace

EngineStorage storage_of(const docker::EngineInfo& info) {
  return {.driver = info.storage_driver,
          .backing = info.backing_file_system,
          .directory = info.root_directory,
          .kernel = info.kernel,
          .id = info.identity()};
}

std::vector<std::string> directories_of(const EngineStorage& storage, const Result<std::string>& mounts) {
  utsname here{};
  // An engine on another kernel, as in a VM, has these directories on another disk.
  if (::uname(&here) != 0 || storage.kernel != here.release) return {};
  // Each layer is a file system of its own, whose space does not show in that of the directory.
  if (storage.driver == "zfs") return {};
  std::vector<std::string> found;
  struct statvfs disk{};
  // containerd keeps the layers if it is the image store.
  for (const std::string& directory : {storage.directory, std::string("/var/lib/containerd")}) {
    if (directory.empty() || ::statvfs(directory.c_str(), &disk) != 0) continue;
    // Only root can look at a disk that is mounted below.
    if (!mounts || !is_on_one_disk(directory, *mounts) || has_link_to_elsewhere(directory)) return {};
    found.push_back(directory);
  }
  return found;
}

bool limit_layer(json& container, const EngineStorage& storage, uint64_t limit, uint64_t image_size) {
  const std::string& driver = storage.driver;
  if (driver != "btrfs" && driver != "zfs" && !(driver == "overlay2" && storage.backing == "xfs")) return false;
  // A subvolume of btrfs also refers to the image's blocks, and its quota counts them.
  uint64_t size = limit + (driver == "btrfs" ? image_size : 0);
  container["HostConfig"]["StorageOpt"] = {{"size", std::to_string(size)}};
  return true;
}

DiskWatch::DiskWatch(docker::Engine& engine, const Job& job, std::vector<std::string> directories, Labels labels,
                     Clock clock)
    : engine_(engine),
      job_(job),
      directories_(std::move(directories)),
      labels_(std::move(labels)),
      clock_(std::move(clock)),
      trigger_(job.plan.resources.disk, state(), clock_()) {
  look_at_clock();
}

void DiskWatch::look_at_clock() {
  clock_steps_.note(std::chrono::system_clock::now().time_since_epoch(), ClockSteps::Seconds(boot_seconds()));
}

std::optional<DiskState> DiskWatch::state() const {
  DiskState sum;
  std::set<uint64_t> seen;
  for (const auto& directory : directories_) {
    struct statvfs disk{};
    if (::statvfs(directory.c_str(), &disk) != 0) return std::nullopt;
    // Two directories on one file system count once.
    if (!seen.insert(disk.f_fsid).second) continue;
    sum.taken += static_cast<uint64_t>(disk.f_blocks - disk.f_bfree) * disk.f_frsize;
    sum.taken += static_cast<uint64_t>(disk.f_files - disk.f_ffree) * kInode;
    sum.free += static_cast<uint64_t>(disk.f_bavail) * disk.f_frsize;
  }
  if (directories_.empty()) return std::nullopt;
  return sum;
}

Result<DiskWatch::Count> DiskWatch::count(std::chrono::seconds behind) const {
  auto begun = std::chrono::steady_clock::now();
  auto written = TRY(count_written(engine_, job_, labels_, behind));
  return Count{written, std::chrono::steady_clock::now() - begun};
}

// Takes the result of a count. A few failures in a row are tolerated, because an engine may be busy.
std::string DiskWatch::judge(const Result<Count>& count) {
  uint64_t limit = job_.plan.resources.disk;
  // If the agent has just ended, a count fails as well, but that does not matter here.
  bool failed = count ? !count->written.complete : is_failure(count.error(), state().has_value());
  trigger_.counted(failed || !count ? std::nullopt : std::optional(count->written.bytes), count ? count->took : 0s,
                   clock_());
  if (count && count->written.bytes > limit)
    return "the agent has written " + binary_size(count->written.bytes) + ", more than the " + binary_size(limit) +
           " of `resources.disk`, and was stopped";
  // A count that is incomplete but over the limit has already stopped the agent above.
  failures_ = failed ? failures_ + 1 : 0;
  if (failures_ < kMostFailures) return "";
  return "what the agent has written cannot be counted (" +
         (count ? std::string("there are directories that are nested too deeply or cannot be read")
                : count.error().what) +
         "), so bottle cannot enforce `resources.disk` and stopped the agent";
}

std::string DiskWatch::check() {
  auto now = clock_();
  if (now - looked_at_ < kPause) return "";
  looked_at_ = now;
  look_at_clock();
  auto disk = state();
  // This is checked even while a count is under way, because the disk may be full before it ends.
  if (trigger_.is_disk_almost_full(disk))
    return "the engine's disk is almost full and has lost more than the " + binary_size(job_.plan.resources.disk) +
           " of `resources.disk` since the agent started, so the agent was stopped";
  if (counting_.valid()) return is_ready(counting_) ? judge(counting_.get()) : "";
  if (trigger_.is_due(disk, now))
    counting_ =
        std::async(std::launch::async, [this, behind = clock_steps_.furthest_behind()] { return count(behind); });
  return "";
}

void DiskWatch::end() {
  if (counting_.valid()) counting_.wait();
}

}  // namespace bottle::session
