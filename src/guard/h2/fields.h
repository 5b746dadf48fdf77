// This file translates the heads of HTTP/2 messages to HTTP/1.1 and back. The rest of the guard reads and judges
// HTTP/1.1 only, so that both versions are judged by the same code. The code is pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "http/head.h"

namespace bottle::guard::h2 {

struct Field {
  std::string name, value;
};
using Fields = std::vector<Field>;

// How the HTTP/1.1 form of a message marks where its body ends.
enum class Framing : uint8_t { none, length, chunked };

// The HTTP/1.1 form of a head, with its framing and its empty line.
struct Text {
  std::string head;
  Framing framing = Framing::none;
  const char* why = nullptr;  // why the fields are not a head that can be read in only one way; then `head` is unusable
};

// Translates the fields of a request, in the order in which they arrived. `ended` says that no body follows. Refuses
// what RFC 9113 §8 calls malformed, and what would be another head in HTTP/1.1 than it was in HTTP/2.
Text request_text(const Fields& fields, bool ended);

// Translates the fields of an answer to a request with this method. An interim answer (1xx) has no body.
Text answer_text(const Fields& fields, bool ended, std::string_view method);

// Returns the lines of the trailers, each with its line end. Leaves out what is not a valid line.
std::string trailer_text(const Fields& fields);

// Translate a head that the guard has written.
Fields request_fields(const http::Head& head);
Fields answer_fields(const http::Head& head);

// Returns the name in lower case, as HTTP/2 requires it.
std::string lower(std::string_view name);

}  // namespace bottle::guard::h2
