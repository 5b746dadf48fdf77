// HTTP/1.1 message heads, strictly (RFC 9112): what two implementations could read differently is refused. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace bottle::guard {

inline constexpr size_t kMaxHead = 64 * 1024;
inline constexpr size_t kMaxHeaders = 200;

enum class Parse { incomplete, ok, bad };

struct Header {
  std::string_view name, value;
};

// Views into the parsed buffer.
struct Head {
  size_t size = 0;                  // bytes of the head, with its empty line
  std::string_view method, target;  // of a request
  int status = 0;                   // of a response
  int minor = 1;                    // HTTP/1.minor
  std::vector<Header> headers;
  std::optional<uint64_t> content_length;
  bool chunked = false;
  std::string_view host;  // the one Host header
  bool has_host = false;
  bool close = false, keep_alive = false, expect_continue = false;
  bool upgrade_websocket = false;
  const char* why = "";  // of Parse::bad, for the operator

  const Header* find(std::string_view name) const;
};

// `incomplete` only while the bytes could still become a valid head of at most kMaxHead bytes.
Parse parse_request(std::string_view bytes, Head& head);
Parse parse_response(std::string_view bytes, Head& head);

// ASCII, without case.
bool iequals(std::string_view a, std::string_view b);
// Whether a comma-separated list holds a token.
bool has_token(std::string_view list, std::string_view token);

}  // namespace bottle::guard
