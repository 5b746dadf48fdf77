// Makes one pass over the lines, with views into the caller's buffer and without copies. A request is refused if two
// servers could read its bytes differently, because the guard decides by its own reading, and the next server acts on
// another. So each framing header may come only once, nothing is folded, no space comes before a colon, and each line
// ends in CR LF. RFC 9112 allows a recipient to be more lenient in each of these cases, but a guard must not be.

#include "http/head.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/text/words.h"

namespace bottle::http {
namespace {

// Returns which characters may be in a token (RFC 9110 §5.6.2).
constexpr std::array<bool, 256> token_table() {
  std::array<bool, 256> table{};
  for (int c = 0; c < 256; ++c)
    table[static_cast<size_t>(c)] = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  for (char c : {'!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~'})
    table[static_cast<unsigned char>(c)] = true;
  return table;
}
constexpr auto kToken = token_table();

// Returns whether the text has no control characters other than a tab. Bytes above 0x7f pass, because some headers
// have them.
bool is_value(std::string_view text) {
  for (unsigned char c : text)
    if ((c < 0x20 && c != '\t') || c == 0x7f) return false;
  return true;
}

// Notes why a head is refused, and returns false.
bool bad(Head& head, const char* why) {
  head.why = why;
  return false;
}

bool version(std::string_view text, Head& head) {
  // Versions beyond 1.1 are not written in this form, and 0.9 has no heads.
  if (text != "HTTP/1.1" && text != "HTTP/1.0") return bad(head, "the version is neither HTTP/1.1 nor HTTP/1.0");
  head.minor = text.back() - '0';
  return true;
}

// Parses "METHOD TARGET VERSION" with exactly one space between the parts (RFC 9112, section 3).
bool request_line(std::string_view line, Head& head) {
  // The method ends with the first space and the version begins after the last one. A space in between is found in the
  // target.
  size_t first = line.find(' '), last = line.rfind(' ');
  if (first == line.npos || first == last) return bad(head, "the request line is malformed");
  head.method = line.substr(0, first);
  head.target = line.substr(first + 1, last - first - 1);
  if (!is_token(head.method) || head.method.size() > 32) return bad(head, "the method is not valid");
  for (unsigned char c : head.target)
    if (c <= 0x20 || c == 0x7f) return bad(head, "the target has a space or control byte");
  if (head.target.empty()) return bad(head, "the target is empty");
  return version(line.substr(last + 1), head);
}

// Parses the status line of an answer (RFC 9112, section 4).
bool status_line(std::string_view line, Head& head) {
  // The line is "HTTP/1.1 200" or "HTTP/1.1 200 reason".
  if (line.size() < 12 || line[8] != ' ' || (line.size() > 12 && line[12] != ' '))
    return bad(head, "the status line is malformed");
  head.status = number_in<int>(line.substr(9, 3)).value_or(0);
  if (head.status < 100) return bad(head, "the status is not valid");
  if (!is_value(line.substr(12))) return bad(head, "the reason phrase has a control byte");
  return version(line.substr(0, 8), head);
}

// Some servers treat "_" like "-" in these names, and would find a different end of the body.
constexpr const char* kUnderscore = "a header about the body's length has an underscore in its name";

// Looks at the headers that decide about framing and the connection. All others are only kept.
bool header(std::string_view name, std::string_view value, Head& head, bool request) {
  // Looks only at names of the right length, because most headers are none of these.
  switch (name.size()) {
    case 4:
      if (iequals(name, "host")) {
        if (head.host) return bad(head, "there are two Host headers");
        head.host = value;
      }
      break;
    case 6:
      if (request && iequals(name, "expect")) {
        // RFC 9110 §10.1.1 defines no other expectation. A server that supports another one would wait for something
        // that the guard does not pass on.
        if (!iequals(value, "100-continue")) return bad(head, "the Expect header is not \"100-continue\"");
        head.expect_continue = true;
      }
      break;
    case 10:
      if (iequals(name, "connection")) {
        if (has_token(value, "close")) head.connection = Head::Connection::close;
        else if (head.connection == Head::Connection::unsaid && has_token(value, "keep-alive"))
          head.connection = Head::Connection::keep_alive;
      }
      break;
    case 14:
      if (request && iequals(name, "content_length")) return bad(head, kUnderscore);
      if (iequals(name, "content-length")) {
        // Even two equal lengths are refused, because one server may accept them and another may not.
        if (head.content_length) return bad(head, "there are two Content-Length headers");
        auto length = number_in<uint64_t>(value);
        // 18 decimal digits are below 2^63, so sums with a length cannot overflow.
        if (!length || value.size() > 18) return bad(head, "the Content-Length is not valid");
        head.content_length = length;
      }
      break;
    case 17:
      if (request && iequals(name, "transfer_encoding")) return bad(head, kUnderscore);
      if (iequals(name, "transfer-encoding")) {
        // Other codings, and "chunked" twice, are read in different ways by real servers.
        if (head.chunked || !iequals(value, "chunked")) return bad(head, "the Transfer-Encoding is not \"chunked\"");
        head.chunked = true;
      }
      break;
    default:
      break;
  }
  return true;
}

// Each call begins at the first byte again. ArrivingHead keeps a caller from calling this too often.
Parse parse(std::string_view bytes, Head& head, bool request) {
  auto headers = std::move(head.headers);  // keeps the storage
  headers.clear();
  head = Head{};
  head.headers = std::move(headers);
  const size_t most = request ? kMaxHead : kMaxAnswerHead, most_headers = request ? kMaxHeaders : kMaxAnswerHeaders;
  // Some clients send a line end after a body, which then comes before the next request.
  const size_t begin = request && bytes.starts_with("\r\n") ? 2 : 0;
  size_t at = begin;
  for (bool first = true;; first = false) {
    const char* lf =
        at < bytes.size() ? static_cast<const char*>(std::memchr(bytes.data() + at, '\n', bytes.size() - at)) : nullptr;
    size_t end = lf ? static_cast<size_t>(lf - bytes.data()) : bytes.size();
    if (end >= most) return bad(head, "the head is too long"), Parse::bad;
    std::string_view line = bytes.substr(at, end - at);
    if (!lf) {
      // Fails early, without the rest of the line, if the bytes are certainly not HTTP.
      if (line.find('\0') != line.npos) return bad(head, "the head has a NUL byte"), Parse::bad;
      if (size_t cr = line.find('\r'); cr != line.npos && cr + 1 != line.size())
        return bad(head, "the head has a bare CR"), Parse::bad;
      return Parse::incomplete;
    }
    if (line.empty() || line.back() != '\r') return bad(head, "the head has a bare LF"), Parse::bad;
    line.remove_suffix(1);
    at = end + 1;
    if (first) {
      if (line.find('\r') != line.npos) return bad(head, "the head has a bare CR"), Parse::bad;
      if (!(request ? request_line(line, head) : status_line(line, head))) return Parse::bad;
      continue;
    }
    if (line.empty()) break;
    if (head.headers.size() >= most_headers) return bad(head, "there are too many headers"), Parse::bad;
    size_t colon = line.find(':');
    // A folded line, "Name :" and an empty name all fail this check, because none of them has a token before the colon.
    if (colon == line.npos || !is_token(line.substr(0, colon)))
      return bad(head, "a header line is malformed"), Parse::bad;
    auto value = trimmed(line.substr(colon + 1));
    if (!is_value(value)) return bad(head, "a header has a control byte"), Parse::bad;
    if (!header(line.substr(0, colon), value, head, request)) return Parse::bad;
    head.headers.push_back({line.substr(0, colon), value});
  }
  head.size = at;
  head.text = bytes.substr(begin, at - begin);
  // This is the classic way to smuggle a request past a proxy (RFC 9112 §6.3, item 3).
  if (head.chunked && head.content_length)
    return bad(head, "there are both Content-Length and Transfer-Encoding"), Parse::bad;
  // A server that speaks only 1.0 would treat the chunks as the body itself.
  if (head.chunked && head.minor == 0) return bad(head, "HTTP/1.0 has no Transfer-Encoding"), Parse::bad;
  // The target of a CONNECT is the host already, and some clients leave the header out.
  bool need_host = request && head.minor == 1 && head.method != "CONNECT";
  if (need_host && !head.host) return bad(head, "the Host header is missing"), Parse::bad;
  return Parse::ok;
}

}  // namespace

bool ArrivingHead::is_worth_parsing(std::string_view bytes) {
  constexpr size_t kMuch = 16 * 1024;
  // The buffer became shorter, so a new head begins in it.
  if (bytes.size() < seen_) *this = {};
  // An empty line may begin in the bytes that were seen before.
  std::string_view fresh = bytes.substr(seen_ - std::min<size_t>(seen_, 3));
  seen_ = bytes.size();
  size_t since = bytes.size() - parsed_;
  // Parses again when the bytes have doubled or 16 KB have arrived. So it parses only a few times, and still refuses
  // a bad head before its end.
  if (since >= std::min(parsed_, kMuch)) return since > 0;
  return since > 0 && (fresh.find("\n\r\n") != fresh.npos || fresh.find("\n\n") != fresh.npos);
}

bool iequals(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

bool has_token(std::string_view list, std::string_view token) {
  while (!list.empty()) {
    size_t comma = list.find(',');
    if (iequals(trimmed(list.substr(0, comma)), token)) return true;
    if (comma == list.npos) break;
    list.remove_prefix(comma + 1);
  }
  return false;
}

const Header* Head::find(std::string_view name) const {
  for (const auto& each : headers)
    if (iequals(each.name, name)) return &each;
  return nullptr;
}

std::string Head::list(std::string_view name) const {
  std::string values;
  for (const auto& each : headers)
    if (iequals(each.name, name)) values.append(values.empty() ? "" : ",").append(each.value);
  return values;
}

bool is_token(std::string_view text) {
  for (unsigned char c : text)
    if (!kToken[c]) return false;
  return !text.empty();
}

Parse parse_request(std::string_view bytes, Head& head) { return parse(bytes, head, true); }
Parse parse_response(std::string_view bytes, Head& head) { return parse(bytes, head, false); }

}  // namespace bottle::http
