// Removes the framing of a body, so that the payload can be scanned and framed again. Chunk extensions, odd spaces
// and bare line ends therefore never reach the next server, and two servers cannot disagree on where a body ends. A
// request must be framed exactly as the standard says. Lines of an answer may end in LF alone, as real servers write
// them, and the caller can ask whether any did. The parser keeps no part of an incomplete line; it stays in the
// caller's buffer.

#include "http/body.h"

#include <algorithm>
#include <cstdio>

#include "base/text/words.h"

namespace bottle::http {

Body Body::of_request(const Head& head) {
  // parse() has refused a head with both, so the order does not matter.
  if (head.chunked) return Body(Kind::chunked);
  if (head.content_length) return Body(Kind::length, *head.content_length);
  return {};
}

Body Body::of_response(const Head& head, std::string_view method) {
  // These answers have no body, whatever their headers say (RFC 9112 §6.3).
  if (method == "HEAD" || head.status == 204 || head.status == 304) return {};
  Body body(head.chunked          ? Kind::chunked
            : head.content_length ? Kind::length
                                  : Kind::until_close,
            head.content_length.value_or(0));
  body.answer_ = true;
  return body;
}

// A body of known length never takes bytes beyond its end, which belong to the next message.
bool Body::read(std::string& in, std::string& payload) {
  constexpr size_t kMany = 16 * 1024;
  // In a large download, all bytes are usually payload, so the two strings can exchange their memory.
  bool all_payload = kind_ == Kind::until_close || (kind_ == Kind::length && in.size() <= left_);
  if (all_payload && payload.empty() && in.size() >= kMany) {
    if (kind_ == Kind::length) left_ -= in.size();
    in.swap(payload);  // instead of a copy
    return true;
  }
  std::string_view rest = in;
  bool ok = true;
  if (kind_ == Kind::length) {
    size_t n = static_cast<size_t>(std::min<uint64_t>(left_, rest.size()));
    payload.append(rest.substr(0, n));
    rest.remove_prefix(n);
    left_ -= n;
  } else if (kind_ == Kind::until_close) {
    payload.append(rest);
    rest = {};
  } else if (kind_ == Kind::chunked) {
    while (ok && !ended_ && !rest.empty()) {
      size_t before = rest.size();
      ok = read_chunked(rest, payload);
      // A line is incomplete. It stays in `in` until the rest has arrived.
      if (rest.size() == before) break;
    }
  }
  // The bytes are removed once at the end, because removing them for each chunk would take quadratic time.
  in.erase(0, in.size() - rest.size());
  return ok;
}

// Takes one step. Leaves `in` unchanged if more bytes are needed.
bool Body::read_chunked(std::string_view& in, std::string& payload) {
  constexpr size_t kLine = 1024, kTrailers = 16 * 1024;
  if (step_ == Step::data) {
    size_t n = static_cast<size_t>(std::min<uint64_t>(left_, in.size()));
    payload.append(in.substr(0, n));
    in.remove_prefix(n);
    left_ -= n;
    if (left_ == 0) step_ = Step::data_end;
    return true;
  }
  if (step_ == Step::data_end) {
    // The line end after a chunk's data is not part of the chunk's size.
    const bool bare = answer_ && in[0] == '\n';
    if (!bare && (in[0] != '\r' || (in.size() > 1 && in[1] != '\n'))) return false;
    if (!bare && in.size() < 2) return true;
    in.remove_prefix(bare ? 1 : 2);
    bare_lf_ |= bare;
    step_ = Step::size;
    return true;
  }
  // A line without an end would otherwise grow in the caller's buffer without limit.
  const size_t most = step_ == Step::trailer ? kTrailers : kLine;
  size_t lf = in.find('\n');
  if (lf == in.npos) return in.size() <= most;
  const bool crlf = lf > 0 && in[lf - 1] == '\r';
  if (lf > most || (!crlf && !answer_)) return false;
  bare_lf_ |= !crlf;
  std::string_view line = in.substr(0, crlf ? lf - 1 : lf);
  if (std::ranges::any_of(line, [](unsigned char c) { return (c < 0x20 && c != '\t') || c == 0x7f; })) return false;
  in.remove_prefix(lf + 1);
  if (step_ == Step::trailer) {
    // Also counts the memory that each line costs, so that many tiny trailers reach the limit as well.
    trailer_ += line.size() + 32;
    // An empty line ends the trailers and the body (RFC 9112 §7.1).
    ended_ = line.empty();
    size_t colon = line.find(':');
    if (colon != line.npos && is_token(line.substr(0, colon)))
      trailers_.emplace_back(line.substr(0, colon), trimmed(line.substr(colon + 1)));
    return trailer_ <= kTrailers;
  }
  size_t digits = 0;
  left_ = 0;
  for (; digits < line.size(); ++digits) {
    char c = line[digits];
    unsigned value;
    if (c >= '0' && c <= '9') value = static_cast<unsigned>(c - '0');
    else if (c >= 'a' && c <= 'f') value = static_cast<unsigned>(c - 'a' + 10);
    else if (c >= 'A' && c <= 'F') value = static_cast<unsigned>(c - 'A' + 10);
    else break;
    left_ = left_ << 4 | value;
  }
  // 15 digits are below 2^60, so the shifts above lose no bits.
  if (digits == 0 || digits > 15) return false;
  // What follows is a chunk extension, which is dropped, or white space before one.
  if (digits < line.size() && line[digits] != ';' && line[digits] != ' ' && line[digits] != '\t') return false;
  step_ = left_ == 0 ? Step::trailer : Step::data;
  return true;
}

void append_chunk(std::string& out, std::string_view payload) {
  // A chunk of size 0 would end the body.
  if (payload.empty()) return;
  char size[24];
  int n = snprintf(size, sizeof size, "%zx\r\n", payload.size());
  out.append(size, static_cast<size_t>(n)).append(payload).append("\r\n");
}

}  // namespace bottle::http
