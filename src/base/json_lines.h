// Files of one JSON object a line whose content is hostile: kept so that they can be read on a terminal, and bounded.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/unique_fd.h"

namespace bottle::session {

// Whether a name that somebody else chose can be a file's here: letters, digits, `._-`, no leading dot, 100 at most.
bool is_plain_name(std::string_view name);

class JsonLines {
 public:
  // Makes the file anew. What is no object on a line of its own, a line over `longest`, or one that is nested very
  // deeply, is left out; beyond `most` bytes, read or written: Code::limit.
  static Result<JsonLines> create(const std::string& path, uint64_t most, size_t longest);
  Result<> feed(std::string_view bytes);

 private:
  explicit JsonLines(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
  std::string pending_;
  uint64_t left_ = 0, written_left_ = 0;  // escapes make a line longer
  size_t longest_ = 0;
  bool skipping_ = false;  // the rest of a line that is too long
};

}  // namespace bottle::session
