// The decisions of a session on the operator's disk, one JSON object a line. The agent causes as many as it likes, so
// the file is bounded.
#pragma once

#include <cstdint>
#include <string>

#include <nlohmann/json.hpp>

#include "base/unique_fd.h"

namespace bottle::session {

class AuditFile {
 public:
  static constexpr uint64_t kMost = 256u << 20;  // bytes; what is fetched from another machine has the same limit

  // Appends. A disk that takes no more ends nothing: the line is lost.
  explicit AuditFile(const std::string& path, uint64_t most = kMost);
  // Where the next lines have no room any more, one says so and is the last.
  void add(const nlohmann::json& line);

 private:
  UniqueFd fd_;
  uint64_t left_ = 0;
  bool full_ = false;
};

}  // namespace bottle::session
