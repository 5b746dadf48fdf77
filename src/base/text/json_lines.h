// Writes hostile input to a file with one JSON object per line. The file is bounded and safe to show on a terminal.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/unique_fd.h"

namespace bottle {

// Returns whether a name from an untrusted source may be a file name: at most 100 letters, digits and `._-`, without a
// leading dot.
bool is_plain_name(std::string_view name);

// Writes one file, which is complete when the object is destroyed.
class JsonLines {
 public:
  // Creates the file, or replaces it. Leaves out lines that are not a JSON object, that are longer than `longest`, or
  // that are nested very deeply. Fails with Code::limit after `most` bytes, read or written.
  static Result<JsonLines> create(const std::string& path, uint64_t most, size_t longest);
  // Adds bytes of the stream and writes the lines that they complete. A last line without a line end is left out.
  // Blocks as long as the disk does.
  Result<> feed(std::string_view bytes);

 private:
  explicit JsonLines(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
  std::string pending_;
  uint64_t left_ = 0, written_left_ = 0;  // two limits, because escapes make a line longer
  size_t longest_ = 0;
  bool skipping_ = false;  // skips the rest of a line that is too long
};

}  // namespace bottle
