// Parses the heads of HTTP/1.1 messages (RFC 9112). Refuses every request that two servers could read differently.
// Repairs answers, so that whatever a real server sends becomes a head that every client reads in the same way.
// Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/text/parse.h"

namespace bottle::http {

inline constexpr size_t kMaxHead = 64 * 1024, kMaxHeaders = 200;               // of a request
inline constexpr size_t kMaxAnswerHead = 320 * 1024, kMaxAnswerHeaders = 500;  // of an answer

// Holds one header line, as it was written, without the white space around the value.
struct Header {
  std::string_view name, value;
};

// Holds a parsed head. Its fields are views into the parsed buffer.
struct Head {
  size_t size = 0;                  // the bytes of the head, with the empty lines before and after it
  std::string_view text;            // the same bytes, without the empty line before the head
  std::string_view method, target;  // of a request
  int status = 0;                   // of a response
  int minor = 1;                    // HTTP/1.minor
  std::vector<Header> headers;
  std::optional<uint64_t> content_length;
  bool chunked = false;
  std::optional<std::string_view> host;  // of the only Host header
  bool expect_continue = false;
  // The content of the Connection header. If it has both values, `close` counts (RFC 9112 §9.3).
  enum class Connection : uint8_t { unsaid, keep_alive, close } connection = Connection::unsaid;
  const char* why = "";  // why the result is Parse::bad, for the operator

  // Returns whether the connection stays open after the message.
  bool keeps_open() const {
    return minor == 0 ? connection == Connection::keep_alive : connection != Connection::close;
  }
  // Returns the first header of this name, in any case, or null. The pointer is valid as long as the head.
  const Header* find(std::string_view name) const;
  // Returns the values of all headers of this name as one list, with commas between them.
  std::string list(std::string_view name) const;
};

// Returns `incomplete` only while the bytes can still become a valid head within the limits. Skips one empty line
// before a request (RFC 9112 §2.2).
Parse parse_request(std::string_view bytes, Head& head);
Parse parse_response(std::string_view bytes, Head& head);

// Repairs an answer that parse_response() finds bad: rewrites the head at the front of `bytes` so that it can be read
// in only one way, and parses the result. Accepts lines that end in LF alone or are folded, names that end in spaces,
// lines that are not headers, values with control bytes, and a length that is repeated or accompanies chunks. The
// repaired head says "Connection: close". Returns `incomplete`, and changes nothing, until the head's empty line has
// arrived, and `bad` if the head cannot be repaired.
Parse repair_response(std::string& bytes, Head& head);

// Parses a head that arrives in pieces. The peer chooses how small the pieces are, and parsing the whole head after
// each of them would take quadratic time. So it parses again only after an empty line has arrived, or when many bytes
// are new.
class ArrivingHead {
 public:
  // `parse` parses `bytes`, which begin as in the calls before since the last one that was not Parse::incomplete.
  template <typename Function>
  Parse read(std::string_view bytes, const Function& parse) {
    if (!is_worth_parsing(bytes)) return Parse::incomplete;
    Parse parsed = parse();
    if (parsed == Parse::incomplete) parsed_ = bytes.size();
    else *this = {};
    return parsed;
  }

 private:
  bool is_worth_parsing(std::string_view bytes);
  size_t seen_ = 0, parsed_ = 0;  // bytes
};

// Returns whether the text is a valid header name.
bool is_token(std::string_view text);

// Compares ASCII text and ignores case.
bool iequals(std::string_view a, std::string_view b);
// Returns whether a comma-separated list contains a token.
bool has_token(std::string_view list, std::string_view token);

}  // namespace bottle::http
