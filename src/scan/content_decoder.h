// Takes content codings (RFC 9110 §8.4) off a body, in bounded memory. Pure.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bottle::scan {

class ContentDecoder {
 public:
  // `codings` as in Content-Encoding, several headers joined by commas. Empty for one that is not known, or more than
  // kMost. Known are gzip, x-gzip and deflate; identity and aws-chunked, which code nothing; and none at all.
  static std::optional<ContentDecoder> make(std::string_view codings);
  static constexpr size_t kMost = 3;

  ContentDecoder(ContentDecoder&&) noexcept;
  ContentDecoder& operator=(ContentDecoder&&) noexcept;
  ~ContentDecoder();

  // Whether the body is plain as it is.
  bool plain() const { return layers_.empty(); }

  // Takes bytes off the front of `in`, and appends what they become: at most kPiece bytes. Call it again while it takes
  // or appends something. False: the bytes are not what the codings say.
  bool next(std::string_view& in, std::string& out);
  static constexpr size_t kPiece = 64 * 1024;

  // Bytes that it holds, about.
  size_t memory() const;

  // Whether the body may end here: nothing came, or all layers have ended.
  bool complete() const;

 private:
  struct Layer;
  ContentDecoder();
  std::vector<std::unique_ptr<Layer>> layers_;  // the outermost first
};

}  // namespace bottle::scan
