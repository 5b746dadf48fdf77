// Reads HTTP/1.1 bodies (RFC 9112 §6, §7) with any framing, so that they can be framed again.
// Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/head.h"

namespace bottle::http {

// Holds the state of one body that is being read. `none` means that no bytes follow the head. Needs no memory except
// for the trailers.
class Body {
 public:
  enum class Kind { none, length, chunked, until_close };
  Body() = default;
  explicit Body(Kind kind, uint64_t length = 0) : kind_(kind), left_(length) {}
  // Returns the body that the head announces. A request without a length and without chunks has none (RFC 9112 §6.3).
  static Body of_request(const Head& head);
  // `method` is the method of the request. Call it only for final answers.
  static Body of_response(const Head& head, std::string_view method);

  // Returns what decides where the body ends. It does not change while the body is read.
  Kind kind() const { return kind_; }
  uint64_t left() const { return left_; }  // bytes of a Kind::length body that are still to come
  // Takes bytes from the front of `in` and appends their payload to `payload`. Returns false if the framing is
  // broken. Drops chunk extensions, and trailers that are not headers. May swap the memory of `in` and `payload`.
  bool read(std::string& in, std::string& payload);
  // Call it when the peer's bytes have ended. Returns false if they ended too early.
  bool end() { return done() || (kind_ == Kind::until_close && (ended_ = true)); }
  using Trailer = std::pair<std::string, std::string>;  // name and value
  const std::vector<Trailer>& trailers() const { return trailers_; }
  // Returns whether a line of the chunks ended in LF alone. Only an answer may have such lines.
  bool has_bare_lf() const { return bare_lf_; }
  bool done() const { return kind_ == Kind::none || (kind_ == Kind::length && left_ == 0) || ended_; }

 private:
  enum class Step { size, data, data_end, trailer };
  bool read_chunked(std::string_view& in, std::string& payload);

  Kind kind_ = Kind::none;
  uint64_t left_ = 0;
  Step step_ = Step::size;
  size_t trailer_ = 0;  // in bytes
  std::vector<Trailer> trailers_;
  bool ended_ = false;
  bool answer_ = false, bare_lf_ = false;
};

// Appends `payload` as one chunk. Appends nothing if it is empty.
void append_chunk(std::string& out, std::string_view payload);

}  // namespace bottle::http
