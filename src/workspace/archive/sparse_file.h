// Writes large files that may have holes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/files/full_disk.h"
#include "base/unique_fd.h"

namespace bottle::workspace {

// Writes an empty file from its beginning. Blocks of zeros become holes, which take no room on the disk: an agent can
// make a file of any size without writing anything. Keeps the descriptor, but does not own it.
class SparseFile {
 public:
  explicit SparseFile(int fd) : fd_(fd) {}
  // Blocks. Fails with the error of the disk.
  Result<> write(std::string_view bytes);
  // Gives the file its size. Call it once, after the last write().
  Result<> end();
  // Returns the number of bytes outside of holes.
  uint64_t data() const { return data_; }
  // Returns the number of all bytes.
  uint64_t size() const { return size_; }

 private:
  Result<> put(std::string_view bytes, uint64_t at);

  int fd_;
  uint64_t size_ = 0, end_of_data_ = 0, data_ = 0;
};

// Returns how many bytes stay free on the disk with this path when bottle keeps an archive there. A full disk would
// stop the other programs of this machine, and the guards of other sessions, which could not write their audits.
uint64_t bytes_to_leave_free(const std::string& path);

// Writes the archive of a workspace. Whether it is whole is up to the caller.
class ArchiveFile {
 public:
  // Makes an empty file, or empties the one that is there. Does not follow a link.
  static Result<ArchiveFile> create(const std::string& path, uint64_t most = UINT64_MAX,
                                    uint64_t most_with_holes = kMostWithHoles);
  // Blocks. Fails with Code::no_space before the disk is full, and with Code::limit beyond `most` bytes outside of
  // holes or `most_with_holes` bytes in all.
  Result<> write(std::string_view bytes);
  // Completes the file. With `flush`, it also survives a power failure.
  enum class Flush { no, yes };
  Result<> end(Flush flush);

 private:
  ArchiveFile(std::string path, UniqueFd fd, uint64_t most, uint64_t most_with_holes)
      : path_(std::move(path)), fd_(std::move(fd)), file_(fd_.get()), most_(most), most_with_holes_(most_with_holes) {}
  Result<> look_at_room();

  std::string path_;
  UniqueFd fd_;
  SparseFile file_;
  uint64_t most_, most_with_holes_;
  uint64_t next_look_ = 0;      // the number of bytes without holes at which the free room is looked at again
  uint64_t left_by_small_ = 0;  // bytes that stay free while the archive is small
};

}  // namespace bottle::workspace
