// Tar archives: written for the engine, read from a container whose content is hostile.
// Source: POSIX.1-2017 pax (ustar and extended headers); GNU tar's long names and base-256 numbers, for reading.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace bottle::docker {

// Writes entries as they are given; nothing is kept. Paths are relative.
class TarWriter {
 public:
  using Sink = std::function<Result<>(std::string_view)>;
  // `time`: when everything in it was changed last, in seconds since 1970.
  explicit TarWriter(Sink sink, uint64_t time = 0) : sink_(std::move(sink)), time_(time) {}

  Result<> directory(const std::string& path, int mode, uint32_t uid, uint32_t gid);
  Result<> file(const std::string& path, int mode, uint32_t uid, uint32_t gid, std::string_view bytes);
  Result<> symlink(const std::string& path, const std::string& target, uint32_t uid, uint32_t gid);
  // A file whose bytes follow by data(), exactly `size` of them; what is missing at end_file() is filled with zeros.
  Result<> begin_file(const std::string& path, int mode, uint32_t uid, uint32_t gid, uint64_t size);
  Result<> data(std::string_view bytes);
  Result<> end_file();
  Result<> finish();

 private:
  Result<> header(const std::string& path, char type, int mode, uint32_t uid, uint32_t gid, uint64_t size,
                  const std::string& link);
  Sink sink_;
  uint64_t time_, size_ = 0, written_ = 0;
};

struct TarEntry {
  enum class Type { file, directory, symlink, hardlink, other };  // other: devices, FIFOs
  Type type = Type::file;
  std::string path;  // relative, without "." and empty components; "." is the archive's root
  std::string
      linkname;  // a symlink's target exactly as written (it may lead anywhere!); a hardlink's is checked as path is
  int mode = 0;  // permission bits, 07777
  uint64_t size = 0;  // of a file's bytes; 0 for everything else
};

struct TarLimits {
  uint64_t entries = 2'000'000;
  uint64_t bytes = 64ull << 30;  // of all files
  size_t path = 4096;
  size_t extension = 1 << 20;  // one extended header
};

// Reads an archive as its bytes come, in any pieces; keeps one header at most. Strict: an absolute path, "..", NUL, a
// bad checksum, an unknown type, a sparse file or anything over a limit is Code::protocol or limit, and the archive is
// over: every later call fails too. What it hands out is well formed, not harmless: a symlink and then a path through
// it is for the one who writes to a disk to refuse.
class TarReader {
 public:
  struct Handler {
    std::function<Result<>(const TarEntry&)> entry;  // at each entry
    std::function<Result<>(std::string_view)> data;  // a file's bytes, in pieces
    std::function<Result<>()> end = nullptr;         // after a file's last byte (also of an empty file)
  };
  explicit TarReader(Handler handler, TarLimits limits = {}) : handler_(std::move(handler)), limits_(limits) {}

  Result<> feed(std::string_view bytes);
  // To be called at the end of the input: an archive cut short is Code::closed.
  Result<> finish();

 private:
  enum class State { header, extension, data, padding, ended, broken };
  Result<> step(std::string_view& bytes);
  Result<> take_header();
  Result<> take_extension();
  Result<> take_pax(std::string_view records);
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
  // What extended headers say about the next entry.
  std::optional<std::string> next_path_, next_link_;
  std::optional<uint64_t> next_size_;
};

}  // namespace bottle::docker
