// Decodes a copy of a body for searching, while the body itself passes unchanged. Few coded bytes can become very
// many, so each call decodes a bounded part, and other connections have their turn in between.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "scan/content/content_decoder.h"

namespace bottle::guard {

class CodedCopy {
 public:
  explicit CodedCopy(scan::ContentDecoder decoder) : decoder_(std::move(decoder)) {}

  // Returns whether the body has no coding. Then this object is not needed.
  bool plain() const { return decoder_.plain(); }
  // Takes the next bytes of the body, and appends decoded bytes. Decoders take and append at most about kAtOnce bytes.
  // Returns false if the bytes do not match the codings.
  bool take(std::string_view bytes, std::string& text);
  // Returns whether more of the bytes so far may be decoded. Then call take() again, without bytes, before reading
  // more of the body.
  bool behind() const { return behind_; }
  // Returns whether the body may end here.
  bool complete() const { return decoder_.complete(); }
  // Returns approximately how many bytes this object holds.
  size_t memory() const { return decoder_.memory() + waiting_.capacity(); }

  static constexpr size_t kAtOnce = 256 * 1024;

 private:
  scan::ContentDecoder decoder_;
  std::string waiting_;  // bytes of the body that are not decoded yet
  bool behind_ = false;
};

}  // namespace bottle::guard
