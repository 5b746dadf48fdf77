// HTTP/1.1 message heads (RFC 9112). Requests strictly: what two servers could read differently is refused. Answers are
// repaired: whatever a real server sends becomes a head that every client reads alike. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bottle::guard {

inline constexpr size_t kMaxHead = 64 * 1024, kMaxHeaders = 200;               // of a request
inline constexpr size_t kMaxAnswerHead = 320 * 1024, kMaxAnswerHeaders = 500;  // of an answer

enum class Parse { incomplete, ok, bad };

struct Header {
  std::string_view name, value;
};

// Views into the parsed buffer.
struct Head {
  size_t size = 0;                  // bytes of the head, with its empty line and with one before it
  std::string_view text;            // the same, without the one before it
  std::string_view method, target;  // of a request
  int status = 0;                   // of a response
  int minor = 1;                    // HTTP/1.minor
  std::vector<Header> headers;
  std::optional<uint64_t> content_length;
  bool chunked = false;
  std::string_view host;  // the one Host header
  bool has_host = false;
  bool close = false, keep_alive = false, expect_continue = false;
  const char* why = "";  // of Parse::bad, for the operator

  const Header* find(std::string_view name) const;
};

// `incomplete` only while the bytes could still become a valid head within the limits. One empty line before a request
// is skipped (RFC 9112 §2.2).
Parse parse_request(std::string_view bytes, Head& head);
Parse parse_response(std::string_view bytes, Head& head);

// For what parse_response() finds bad: rewrites the head at the front of `bytes` so that it can be read in one way, and
// parses that. Lines end in LF alone, or are folded; names end in spaces; lines are no headers; values have control
// bytes; a length is repeated, or stands beside chunks. The repaired head says "Connection: close". `incomplete` until
// the head's empty line has come; `bad`: beyond repair.
Parse repair_response(std::string& bytes, Head& head);

// Whether the text can be the name of a header.
bool is_token(std::string_view text);

// ASCII, without case.
bool iequals(std::string_view a, std::string_view b);
// Whether a comma-separated list holds a token.
bool has_token(std::string_view list, std::string_view token);

}  // namespace bottle::guard
