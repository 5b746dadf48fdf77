// Writes tar archives for the engine, and reads archives from containers, whose content is hostile.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/stream.h"
#include "docker/tar/header.h"

namespace bottle::docker {

// Passes each entry to the sink immediately and keeps nothing. Paths are relative.
class TarWriter {
 public:
  // `time` is the modification time of the entries, in seconds since 1970, as of set_time().
  explicit TarWriter(Sink sink, uint64_t time = 0) : sink_(std::move(sink)) { set_time(time); }

  // Sets the modification time of the following entries. A time after the year 2242 becomes the last one that the
  // format can express.
  void set_time(uint64_t time) { time_ = std::min<uint64_t>(time, (1ull << 33) - 1); }

  // Write a whole entry. `mode` has the permission bits. A symlink's target is written unchanged. All fail only if the
  // sink does.
  Result<> directory(const std::string& path, int mode, uint32_t uid, uint32_t gid);
  Result<> file(const std::string& path, int mode, uint32_t uid, uint32_t gid, std::string_view bytes);
  Result<> symlink(const std::string& path, const std::string& target, uint32_t uid, uint32_t gid);
  // Begins a file of exactly `size` bytes, which data() supplies. end_file() fills missing bytes with zeros.
  Result<> begin_file(const std::string& path, int mode, uint32_t uid, uint32_t gid, uint64_t size);
  Result<> data(std::string_view bytes);
  Result<> end_file();
  // Writes the end of the archive: two blocks of zeros. Call it once, after the last entry.
  Result<> finish();

 private:
  Result<> header(const std::string& path, char type, int mode, uint32_t uid, uint32_t gid, uint64_t size,
                  const std::string& link);
  Sink sink_;
  uint64_t time_, size_ = 0, written_ = 0;
};

// Describes one entry of an archive for the handler. Its path was checked, but its content may be anything.
struct TarEntry {
  enum class Type { file, directory, symlink, hardlink, other };  // other is a device or a FIFO
  Type type = Type::file;
  std::string path;      // relative, without "." and empty components; "." is the root of the archive
  std::string linkname;  // a symlink's target exactly as written, which may lead anywhere; a hardlink's target is
                         // checked like a path
  int mode = 0;          // permission bits, 07777
  uint64_t size = 0;     // in bytes, for files; 0 for all other types
};

// Limits what a reader accepts. Each number is far above what a workspace has and far below what fills a disk or the
// memory.
struct TarLimits {
  uint64_t entries = 2'000'000;  // of all types
  uint64_t bytes = 64ull << 30;  // of all files
  size_t path = 4096;            // in bytes, for paths and link targets; a system call accepts no longer path
  size_t extension = 1 << 20;    // one extended header
};

// Reads an archive in pieces of any size and keeps at most one header. Fails with Code::protocol for an absolute path,
// "..", NUL, a bad checksum, an unknown type or a sparse file, and with Code::limit for anything above a limit; every
// later call fails too. Entries are well formed but not harmless. A caller that writes to a disk must itself refuse a
// symlink followed by a path through it.
class TarReader {
 public:
  // Holds the functions that the reader calls, in the order of the archive. An error ends the reading and is returned
  // by feed().
  struct Handler {
    std::function<Result<>(const TarEntry&)> entry;  // for each entry
    std::function<Result<>(std::string_view)> data;  // for each piece of a file
    std::function<Result<>()> end = nullptr;         // after the last byte of a file, even an empty one
  };
  explicit TarReader(Handler handler, TarLimits limits = {}) : handler_(std::move(handler)), limits_(limits) {}

  // Reads the next piece of the archive. `entry` and `data` may be called many times before it returns.
  Result<> feed(std::string_view bytes);
  // Call it at the end of the input. Fails with Code::closed if the archive was cut short.
  Result<> finish();

 private:
  enum class State { header, extension, data, padding, ended, broken };
  Result<> step(std::string_view& bytes);
  Result<> take_header();
  Result<> take_extension();
  Result<> finish_body();
  Result<> begin_entry(char type, TarEntry entry);
  Result<std::string> checked_path(std::string_view raw) const;

  Handler handler_;
  TarLimits limits_;
  State state_ = State::header;
  std::string block_, extension_;
  char extension_type_ = 0;
  uint64_t left_ = 0, padding_ = 0, entries_ = 0, bytes_ = 0;
  int zero_blocks_ = 0;
  bool in_file_ = false;
  TarExtension next_;
};

}  // namespace bottle::docker
