// Tar archives: written for the engine, read from a container whose content is hostile.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace bottle::docker {

// Writes entries as they are given; nothing is kept. Paths are relative.
class TarWriter {
 public:
  using Sink = std::function<Result<>(std::string_view)>;
  explicit TarWriter(Sink sink) : sink_(std::move(sink)) {}

  Result<> directory(const std::string& path, int mode, uint32_t uid, uint32_t gid);
  Result<> file(const std::string& path, int mode, uint32_t uid, uint32_t gid, std::string_view bytes);
  Result<> symlink(const std::string& path, const std::string& target, uint32_t uid, uint32_t gid);
  // A file whose bytes follow by data(), exactly `size` of them.
  Result<> begin_file(const std::string& path, int mode, uint32_t uid, uint32_t gid, uint64_t size);
  Result<> data(std::string_view bytes);
  Result<> end_file();
  Result<> finish();

 private:
  Result<> header(const std::string& path, char type, int mode, uint32_t uid, uint32_t gid, uint64_t size, const std::string& link);
  Sink sink_;
  uint64_t size_ = 0, written_ = 0;
};

}  // namespace bottle::docker
