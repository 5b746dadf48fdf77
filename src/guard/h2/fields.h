// Translates the heads of HTTP/2 messages to HTTP/1.1 and back. The rest of the guard reads only HTTP/1.1, so
// that the same code judges both versions. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "http/head.h"

namespace bottle::guard::h2 {

// Holds a header, or a pseudo-header with its ':'. From a peer, both texts may contain any byte until they are
// translated.
struct Field {
  std::string name, value;
};
using Fields = std::vector<Field>;

// Says how the HTTP/1.1 form of a message marks the end of its body.
enum class Framing : uint8_t { none, length, chunked };

// Holds the HTTP/1.1 form of a head, with its framing and its empty line.
struct Text {
  std::string head;
  Framing framing = Framing::none;
  const char* why = nullptr;  // why the fields are malformed or ambiguous; `head` is then unusable
};

// Translates the fields of a request, in the order in which they arrived. `ended` says that no body follows. Refuses
// fields that RFC 9113 §8 calls malformed, and those that would mean something else in HTTP/1.1 than in HTTP/2.
Text request_text(const Fields& fields, bool ended);

// Translates the fields of an answer to a request with this method. An interim answer (1xx) has no body.
Text answer_text(const Fields& fields, bool ended, std::string_view method);

// Returns the lines of the trailers, each with its line end. Leaves out trailers that would not be valid lines.
std::string trailer_text(const Fields& fields);

// These functions translate a head that the guard has written.
Fields request_fields(const http::Head& head);
Fields answer_fields(const http::Head& head);

}  // namespace bottle::guard::h2
