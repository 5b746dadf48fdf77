// A directory gets its mode and time at the end, because it may be one in which even its owner cannot make files, and
// because each file that is made in it changes its time.
#include "inside/unpack.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <functional>
#include <ranges>

#include "base/files/file.h"
#include "wire/gate/gate.h"

namespace bottle::inside {
namespace {

using docker::TarEntry;

// Calls `make`, which returns a negative number for an error, and once more after removing what was there.
int replacing(const std::string& path, const std::function<int()>& make) {
  int done = make();
  if (done >= 0 || errno != EEXIST) return done;
  if (::unlink(path.c_str()) != 0 && ::rmdir(path.c_str()) != 0) {
    errno = EEXIST;
    return -1;
  }
  return make();
}

void set_time(const std::string& path, uint64_t time) {
  const timespec times[2] = {{static_cast<time_t>(time), 0}, {static_cast<time_t>(time), 0}};
  // A wrong time is no reason to fail.
  (void)::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW);
}

bool is_directory(const std::string& path) {
  struct stat st{};
  return ::lstat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
}

}  // namespace

Unpacker::Unpacker(std::string below)
    : below_(std::move(below)),
      reader_({.entry = [this](const TarEntry& entry) { return make(entry); },
               .data = [this](std::string_view bytes) { return write_all(file_.get(), bytes); },
               .end = [this] { return end_file(); }},
              {.bytes = wire::kMostFiles}) {}

void Unpacker::take(std::string_view bytes) {
  if (state_) state_ = reader_.feed(bytes);
}

Result<> Unpacker::make(const TarEntry& entry) {
  std::string path = below_ + "/" + entry.path;
  auto failed = [&] { return fail_errno("unpacking " + path); };
  switch (entry.type) {
    case TarEntry::Type::file:
      return make_file(path, entry);
    case TarEntry::Type::directory:
      // Its owner must be able to make files in it until the end. One that exists must belong to this user: otherwise
      // the agent could not use it as its own.
      if (!is_directory(path) && replacing(path, [&] { return ::mkdir(path.c_str(), 0700); }) != 0) return failed();
      if (::chmod(path.c_str(), static_cast<mode_t>(entry.mode) | 0700) != 0) return failed();
      directories_.push_back(entry);
      return {};
    case TarEntry::Type::symlink:
      if (replacing(path, [&] { return ::symlink(entry.linkname.c_str(), path.c_str()); }) != 0) return failed();
      set_time(path, entry.time);
      return {};
    case TarEntry::Type::hardlink: {
      std::string target = below_ + "/" + entry.linkname;
      if (replacing(path, [&] { return ::link(target.c_str(), path.c_str()); }) != 0) return failed();
      return {};
    }
    case TarEntry::Type::other:
      break;
  }
  return fail(Code::invalid, "unpacking " + path + ": it is a device or a pipe");
}

Result<> Unpacker::make_file(const std::string& path, const TarEntry& entry) {
  constexpr int kNew = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  file_.reset(replacing(path, [&] { return ::open(path.c_str(), kNew, 0600); }));
  if (!file_) return fail_errno("unpacking " + path);
  now_ = entry;
  return {};
}

Result<> Unpacker::end_file() {
  std::string path = below_ + "/" + now_.path;
  if (::fchmod(file_.get(), static_cast<mode_t>(now_.mode)) != 0) return fail_errno("unpacking " + path);
  const timespec times[2] = {{static_cast<time_t>(now_.time), 0}, {static_cast<time_t>(now_.time), 0}};
  (void)::futimens(file_.get(), times);
  // Some file systems report only here that the disk is full.
  if (::close(file_.release()) != 0) return fail_errno("unpacking " + path);
  return {};
}

Result<> Unpacker::finish() {
  if (state_) state_ = reader_.finish();
  // From the inside out, because the mode of a directory may make what is in it unreachable.
  for (const auto& entry : std::views::reverse(directories_)) {
    std::string path = below_ + "/" + entry.path;
    if (::chmod(path.c_str(), static_cast<mode_t>(entry.mode)) != 0 && state_) state_ = fail_errno("unpacking " + path);
    set_time(path, entry.time);
  }
  directories_.clear();
  return state_;
}

}  // namespace bottle::inside
