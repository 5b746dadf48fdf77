// Removes content codings (RFC 9110 §8.4) from a body, in bounded memory. Pure.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bottle::scan {

// Decodes one body, with one decoder for each of its codings. The input may be hostile, so the memory of each decoder
// and the output of each call are bounded. The caller bounds the total.
class ContentDecoder {
 public:
  // Takes `codings` as in Content-Encoding, with several headers joined by commas. Returns nothing if a coding is
  // unknown, or if there are more than kMost. Supports gzip, x-gzip, deflate, br and zstd, and accepts identity,
  // aws-chunked and other names that change nothing. `codings` may be empty.
  static std::optional<ContentDecoder> make(std::string_view codings);
  static constexpr size_t kMost = 3;

  ContentDecoder(ContentDecoder&&) noexcept;
  ContentDecoder& operator=(ContentDecoder&&) noexcept;
  ~ContentDecoder();

  // Returns whether the body has no coding.
  bool plain() const { return layers_.empty(); }

  // Says what next() did.
  enum class Step : uint8_t {
    more,  // it may have more to append, or more of `in` to take: call it again
    all,   // it has taken all of `in`, and appended all that this decodes to
    wrong,
  };
  // Takes bytes from the front of `in`, and appends at most kPiece decoded bytes. Its decoders take and append about
  // kAtOnce bytes together, which bounds the time of a call even if all of them decode to nothing. The bytes are wrong
  // if they do not match the codings, need a window above 8 MB or are followed by anything but zeros, if more than
  // kMostSkipped in a row decode to nothing, or if an inner decoder gets more than kFreelyInner and kMostInner times
  // the bytes so far.
  Step next(std::string_view& in, std::string& out);
  static constexpr size_t kPiece = 64 * 1024, kAtOnce = 128 * 1024;
  static constexpr size_t kMostSkipped = 1024 * 1024;
  static constexpr uint64_t kFreelyInner = 1024 * 1024, kMostInner = 16;

  // Returns how many bytes all its decoders have taken and appended so far. That is what decoding costs.
  uint64_t moved() const { return moved_; }

  // Returns of how many of the last bytes that next() took the decoded form may not have been appended yet, although
  // next() can append no more. Such bytes are the beginning of a block that is not whole. SIZE_MAX means that any of
  // them may be.
  size_t most_kept() const;

  // Returns approximately how many bytes this object holds.
  size_t memory() const;

  // Returns whether the body may end here: no bytes arrived, or all layers have ended.
  bool complete() const;

  struct Layer;

 private:
  ContentDecoder();
  bool step(std::string_view& in, std::string& out, size_t most);
  bool run(size_t index, std::string_view& in, std::string& to, size_t most);

  std::vector<std::unique_ptr<Layer>> layers_;  // from the outermost to the innermost
  uint64_t moved_ = 0;
};

}  // namespace bottle::scan
