// HTTP/2 fields are separate strings, and HTTP/1.1 heads are lines of text. A byte that is harmless in a field, such as
// a line end or a space in a path, could begin a new header or a second request in a line. Each text is therefore
// checked before it becomes part of one. The framing is never copied: the guard writes Content-Length and
// Transfer-Encoding itself, from what the frames say, and refuses fields that claim something else. The parser for
// HTTP/1.1 then reads the result again, as it reads what other clients send.
#include "guard/h2/fields.h"

#include <algorithm>
#include <optional>

#include "base/text/parse.h"
#include "base/text/words.h"

namespace bottle::guard::h2 {
namespace {

// Returns whether a header is about a single HTTP/1.1 connection. In HTTP/2, a message with such a header is malformed
// (RFC 9113 §8.2.2).
bool of_connection(std::string_view name) {
  for (std::string_view each :
       {"connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade", "http2-settings"})
    if (http::iequals(name, each)) return true;
  return false;
}

bool is_name(std::string_view name) {
  return http::is_token(name) && std::ranges::none_of(name, [](char c) { return c >= 'A' && c <= 'Z'; });
}

bool is_value(std::string_view value) {
  if (!value.empty() && (value.front() == ' ' || value.front() == '\t' || value.back() == ' ' || value.back() == '\t'))
    return false;
  return std::ranges::none_of(value, [](unsigned char c) { return (c < 0x20 && c != '\t') || c == 0x7f; });
}

// Returns whether the text can be a part of a request line without being read as more than one part.
bool is_part_of_line(std::string_view text) {
  return !text.empty() && std::ranges::none_of(text, [](unsigned char c) { return c <= 0x20 || c == 0x7f; });
}

// Holds the fields of a head, sorted by their meaning.
struct Sorted {
  std::string_view method, scheme, authority, path, status;
  const Field* length = nullptr;
  bool may_have_trailers = false;
  std::string lines, cookie;
};

// Returns whether a message with this header may end in trailers. In HTTP/1.1, only a chunked message can have
// trailers, so with a length the message would lose them.
bool promises_trailers(const Field& field) {
  return field.name == "trailer" || (field.name == "content-type" && field.value.starts_with("application/grpc"));
}

// The following functions sort the fields. They return what is wrong, or null.
const char* set_once(std::string_view& to, const std::string& value) {
  if (!to.empty()) return "a pseudo-header is repeated";
  if (value.empty()) return "a pseudo-header is empty";
  to = value;
  return nullptr;
}

const char* take_pseudo(const Field& field, bool request, Sorted& sorted) {
  if (!request) return field.name == ":status" ? set_once(sorted.status, field.value) : "a pseudo-header is unknown";
  if (field.name == ":method") return set_once(sorted.method, field.value);
  if (field.name == ":scheme") return set_once(sorted.scheme, field.value);
  if (field.name == ":authority") return set_once(sorted.authority, field.value);
  if (field.name == ":path") return set_once(sorted.path, field.value);
  return "a pseudo-header is unknown";
}

// Takes a field that is not a pseudo-header, and writes it as a line of HTTP/1.1. Returns why the message is
// malformed, or null.
const char* take_regular(const Field& field, bool request, Sorted& sorted) {
  if (!is_name(field.name)) return "the name of a header is not valid in HTTP/2";
  if (!is_value(field.value)) return "a header has a control byte, or a space at its beginning or end";
  // One of these headers is transfer-encoding, which could contradict the frames.
  if (of_connection(field.name)) return "a header is not allowed in HTTP/2";
  if (request && field.name == "te" && field.value != "trailers") return "the TE header is not \"trailers\"";
  if (field.name == "content-length") {
    // HTTP/1.1 has the same limit (http/head.cc).
    if (sorted.length || !number_in<uint64_t>(field.value) || field.value.size() > 18)
      return "the content-length is repeated or not valid";
    sorted.length = &field;
  } else if (request && field.name == "cookie") {
    // A client may send a cookie header in several fields (RFC 9113 §8.2.3).
    sorted.cookie.append(sorted.cookie.empty() ? "" : "; ").append(field.value);
  } else if (request && field.name == "host") {
    // The authority comes before all headers, so it is known here.
    if (!sorted.authority.empty() && !http::iequals(sorted.authority, field.value)) return "host and :authority differ";
    if (sorted.authority.empty()) sorted.authority = field.value;
  } else {
    sorted.may_have_trailers |= promises_trailers(field);
    sorted.lines.append(field.name).append(": ").append(field.value).append("\r\n");
  }
  return nullptr;
}

// Takes all fields of a message. Returns why it is malformed, or null.
const char* sort(const Fields& fields, bool request, Sorted& sorted) {
  bool regular = false;
  for (const auto& each : fields) {
    bool pseudo = each.name.starts_with(':');
    if (pseudo && regular) return "a pseudo-header comes after a header";
    regular |= !pseudo;
    if (const char* why = pseudo ? take_pseudo(each, request, sorted) : take_regular(each, request, sorted)) return why;
  }
  return nullptr;
}

// Writes the end of the head. A message without a known length is chunked.
void end_head(Sorted& sorted, bool body, Text& text) {
  // nghttp2 compares the body with the length even if the length is not passed on.
  if (body && sorted.may_have_trailers) sorted.length = nullptr;
  if (sorted.length) text.head.append("Content-Length: ").append(sorted.length->value).append("\r\n");
  if (body) text.framing = sorted.length ? Framing::length : Framing::chunked;
  if (text.framing == Framing::chunked) text.head.append("Transfer-Encoding: chunked\r\n");
  text.head.append("\r\n");
}

Text bad(const char* why) {
  Text text;
  text.why = why;
  return text;
}

// Appends the headers that a message of HTTP/2 may have.
void append_fields(const http::Head& head, Fields& fields) {
  for (const auto& each : head.headers) {
    // The host goes into `:authority`.
    if (of_connection(each.name) || http::iequals(each.name, "host")) continue;
    if (http::iequals(each.name, "te") && !http::has_token(each.value, "trailers")) continue;
    bool te = http::iequals(each.name, "te");
    fields.push_back({lower(each.name), te ? "trailers" : std::string(each.value)});
  }
}

}  // namespace

Text request_text(const Fields& fields, bool ended) {
  Sorted sorted;
  if (const char* why = sort(fields, true, sorted)) return bad(why);
  if (sorted.method.empty() || sorted.scheme.empty() || sorted.path.empty()) return bad("a pseudo-header is missing");
  if (sorted.authority.empty()) return bad(":authority is missing");
  if (sorted.method == "CONNECT") return bad("CONNECT is not allowed in a tunnel");
  if (sorted.scheme != "https") return bad(":scheme is not https");
  if (!http::is_token(sorted.method)) return bad("the method is not valid");
  if (!is_part_of_line(sorted.path) || !is_part_of_line(sorted.authority))
    return bad(":path or :authority contains a space");
  // The absolute form would name a host a second time.
  if (sorted.path[0] != '/' && !(sorted.path == "*" && sorted.method == "OPTIONS")) return bad(":path is not a path");
  if (ended && sorted.length && number_in<uint64_t>(sorted.length->value) != 0)
    return bad("there is a content-length, but no body");
  Text text;
  text.head.append(sorted.method).append(" ").append(sorted.path).append(" HTTP/1.1\r\nHost: ");
  text.head.append(sorted.authority).append("\r\n").append(sorted.lines);
  if (!sorted.cookie.empty()) text.head.append("cookie: ").append(sorted.cookie).append("\r\n");
  // Some servers answer 411 if such a request says nothing about its length (RFC 9110 §8.6).
  bool usually_has_body = sorted.method == "POST" || sorted.method == "PUT" || sorted.method == "PATCH";
  if (ended && !sorted.length && usually_has_body) text.head.append("Content-Length: 0\r\n");
  end_head(sorted, !ended, text);
  return text;
}

Text answer_text(const Fields& fields, bool ended, std::string_view method) {
  Sorted sorted;
  if (const char* why = sort(fields, false, sorted)) return bad(why);
  auto status = number_in<uint64_t>(sorted.status);
  if (sorted.status.size() != 3 || !status || *status < 100) return bad(":status is not valid");
  if (*status == 101) return bad("the status 101 is not allowed in HTTP/2");
  if (*status < 200 && (ended || sorted.length)) return bad("an interim answer has a body");
  // These never have a body, whatever their fields say (RFC 9112 §6.3).
  bool bodyless = *status < 200 || *status == 204 || *status == 304 || method == "HEAD";
  if (ended && !bodyless && sorted.length && number_in<uint64_t>(sorted.length->value) != 0)
    return bad("there is a content-length, but no body");
  Text text;
  // HTTP/2 has no reason phrase. The space before it is part of the line even if it is empty (RFC 9112 §4).
  text.head.append("HTTP/1.1 ").append(sorted.status).append(" \r\n").append(sorted.lines);
  if (ended && !bodyless && !sorted.length) text.head.append("Content-Length: 0\r\n");
  end_head(sorted, !ended && !bodyless, text);
  return text;
}

std::string trailer_text(const Fields& fields) {
  std::string lines;
  for (const auto& each : fields)
    if (is_name(each.name) && is_value(each.value) && !of_connection(each.name))
      lines.append(each.name).append(": ").append(each.value).append("\r\n");
  return lines;
}

Fields request_fields(const http::Head& head) {
  Fields fields{{":method", std::string(head.method)},
                {":scheme", "https"},
                {":authority", std::string(head.host.value_or(""))},
                {":path", std::string(head.target)}};
  append_fields(head, fields);
  return fields;
}

Fields answer_fields(const http::Head& head) {
  Fields fields{{":status", std::to_string(head.status)}};
  append_fields(head, fields);
  // The head's END_STREAM flag says that nothing follows. gRPC would treat the length as metadata.
  std::erase_if(fields, [](const Field& field) { return field.name == "content-length" && field.value == "0"; });
  return fields;
}

}  // namespace bottle::guard::h2
