// HTTP/1.1 bodies (RFC 9112 §6, §7): reads any framing, so that what goes on can be framed anew. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "guard/protocol/http_head.h"

namespace bottle::guard {

class Body {
 public:
  enum class Kind { none, length, chunked, until_close };
  Body() = default;
  explicit Body(Kind kind, uint64_t length = 0) : kind_(kind), left_(length) {}
  static Body of_request(const Head& head);
  // `method` is the request's. Only for final answers.
  static Body of_response(const Head& head, std::string_view method);

  Kind kind() const { return kind_; }
  uint64_t left() const { return left_; }  // of Kind::length: bytes that are still to come
  // Takes bytes off the front of `in`; what they carry is appended to `payload`. False: the framing is broken.
  // Chunk extensions are dropped, and so are trailers that are no headers.
  bool read(std::string& in, std::string& payload);
  // The peer's bytes have ended. False: too early.
  bool end() { return done() || (kind_ == Kind::until_close && (ended_ = true)); }
  using Trailer = std::pair<std::string, std::string>;  // name and value
  const std::vector<Trailer>& trailers() const { return trailers_; }
  bool done() const { return kind_ == Kind::none || (kind_ == Kind::length && left_ == 0) || ended_; }

 private:
  enum class Step { size, data, data_end, trailer };
  bool read_chunked(std::string_view& in, std::string& payload);

  Kind kind_ = Kind::none;
  uint64_t left_ = 0;
  Step step_ = Step::size;
  size_t trailer_ = 0;  // bytes
  std::vector<Trailer> trailers_;
  bool ended_ = false;
};

// Appends `payload` as one chunk; nothing for an empty one.
void append_chunk(std::string& out, std::string_view payload);

}  // namespace bottle::guard
