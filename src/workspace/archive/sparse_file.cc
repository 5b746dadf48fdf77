// A block is a piece of the file between two multiples of 4096, which is the block of most file systems.
#include "workspace/archive/sparse_file.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/files/file.h"
#include "base/files/full_disk.h"
#include "base/text/line.h"

namespace bottle::workspace {
namespace {

constexpr size_t kBlock = 4096;
// An archive leaves 1 GiB free, or a twentieth of a small disk. One that is still small may also use half of what was
// free at first, so that little work comes home from an almost full disk.
constexpr uint64_t kMostLeftFree = 1ull << 30, kSmallestPart = 20, kSmall = 64 << 20;
constexpr uint64_t kBetweenLooks = 16 << 20;  // bytes that are written before the free room is looked at again

bool is_zeros(std::string_view bytes) {
  return bytes[0] == 0 && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

// Returns the error of the last call.
std::unexpected<Error> failed() {
  // A position that no file can have is not valid (lseek(2)).
  if (errno == EFBIG || errno == EINVAL) return fail(Code::limit, "files on this disk cannot be that large");
  return fail_errno("writing a file");
}

}  // namespace

Result<> SparseFile::write(std::string_view bytes) {
  size_t begin = 0;  // of the data that is not yet written
  for (size_t at = 0; at < bytes.size();) {
    size_t length = std::min<size_t>(bytes.size() - at, kBlock - (size_ + at) % kBlock);
    bool is_hole = is_zeros(bytes.substr(at, length));
    if (is_hole) {
      TRY(put(bytes.substr(begin, at - begin), size_ + begin));
      begin = at + length;
    }
    at += length;
  }
  TRY(put(bytes.substr(begin), size_ + begin));
  size_ += bytes.size();
  return {};
}

Result<> SparseFile::put(std::string_view bytes, uint64_t at) {
  if (bytes.empty()) return {};
  if (at != end_of_data_ && ::lseek(fd_, static_cast<off_t>(at), SEEK_SET) < 0) return failed();
  if (auto written = write_all(fd_, bytes); !written) return errno == EFBIG ? failed() : written;
  end_of_data_ = at + bytes.size();
  data_ += bytes.size();
  return {};
}

Result<> SparseFile::end() {
  if (size_ == end_of_data_) return {};
  if (::ftruncate(fd_, static_cast<off_t>(size_)) != 0) return failed();
  return {};
}

uint64_t bytes_to_leave_free(const std::string& path) {
  struct statvfs disk{};
  if (::statvfs(path.c_str(), &disk) != 0) return 0;
  return std::min(kMostLeftFree, static_cast<uint64_t>(disk.f_blocks) * disk.f_frsize / kSmallestPart);
}

Result<ArchiveFile> ArchiveFile::create(const std::string& path, uint64_t most, uint64_t most_with_holes) {
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return fail_errno("creating " + path);
  return ArchiveFile(path, std::move(fd), most, most_with_holes);
}

// Fails if the disk has too little room for what is written before the next look.
Result<> ArchiveFile::look_at_room() {
  auto free = free_bytes(path_);
  if (free && file_.data() == 0) left_by_small_ = *free / 2;
  uint64_t least = bytes_to_leave_free(path_);
  if (file_.data() < kSmall) least = std::min(least, left_by_small_);
  uint64_t next = std::min(kBetweenLooks, least);
  next_look_ = file_.data() + next;
  if (free && *free < least + next)
    return fail(Code::no_space, "writing " + one_line(path_, 4096) + ": No space left (" + std::to_string(*free >> 20) +
                                    " MB are free, and bottle leaves " + std::to_string(least >> 20) +
                                    " MB to others)");
  return {};
}

Result<> ArchiveFile::write(std::string_view bytes) {
  if (bytes.size() > most_with_holes_ - file_.size())
    return fail(Code::limit, "writing " + one_line(path_, 4096) + ": it has more than " +
                                 std::to_string(most_with_holes_ >> 30) + " GB with its holes");
  // The room is looked at before the first byte and then now and then, because others write to the disk as well.
  if (file_.data() >= next_look_) TRY(look_at_room());
  // An archive arrives in many pieces, so the text is made only for an error.
  if (auto written = file_.write(bytes); !written)
    return during("writing " + one_line(path_, 4096), std::move(written));
  if (file_.data() > most_)
    return fail(Code::limit, "writing " + one_line(path_, 4096) + ": it has more than the " +
                                 std::to_string(most_ >> 30) + " GB that a session may bring home");
  return {};
}

Result<> ArchiveFile::end(Flush flush) {
  TRY(during("writing " + one_line(path_, 4096), file_.end()));
  if (flush == Flush::yes && ::fsync(fd_.get()) != 0) return fail_errno("flushing " + path_);
  return {};
}

}  // namespace bottle::workspace
