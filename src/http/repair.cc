// Repairs answers of real servers, so that every client reads them in the same way. A repair never guesses at the end
// of the body: it fails if the headers contradict each other there.
#include <algorithm>

#include "base/text/words.h"
#include "http/head.h"

namespace bottle::http {
namespace {

// Replaces control characters by spaces, because one client could drop them and another could end the line at them.
std::string without_controls(std::string_view text) {
  std::string out(trimmed(text));
  for (char& c : out)
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f) c = ' ';
  // A control character at an end has become a space, so this trims once more.
  return std::string(trimmed(out));
}

// Returns the status line with one space between its parts.
std::string status_line(std::string_view line) {
  std::string text = without_controls(line);
  constexpr size_t kVersion = std::string_view("HTTP/1.1").size(), kCode = 3;
  std::string_view rest = std::string_view(text).substr(std::min(kVersion, text.size()));
  // There is no space after the version, so this is not a status line. parse_response() refuses it later.
  if (rest.empty() || rest.size() == trimmed(rest).size()) return text;
  rest = trimmed(rest);
  std::string_view code = rest.substr(0, kCode), reason = rest.substr(code.size());
  if (!reason.empty() && reason.size() == trimmed(reason).size()) return text;
  return text.substr(0, kVersion) + " " + std::string(code) + " " + std::string(trimmed(reason));
}

// Returns the lines of the head, which begins with its status line, without their ends, or nothing until the head's
// empty line has arrived. `size` becomes the size of the head.
std::vector<std::string_view> lines_of(std::string_view bytes, size_t& size) {
  std::vector<std::string_view> lines;
  for (size_t at = 0;;) {
    size_t lf = bytes.find('\n', at);
    if (lf == bytes.npos) return {};
    std::string_view line = bytes.substr(at, lf - at);
    if (line.ends_with('\r')) line.remove_suffix(1);
    at = lf + 1;
    if (line.empty()) return size = at, lines;
    lines.push_back(line);
  }
}

struct Line {
  std::string name, value;
};

// Returns the headers, with folded lines joined (RFC 9112 §5.2). Leaves out lines that are not headers.
std::vector<Line> headers_of(const std::vector<std::string_view>& lines) {
  std::vector<Line> headers;
  bool known = false;
  for (size_t i = 1; i < lines.size(); ++i) {
    std::string_view line = lines[i];
    if (line.starts_with(' ') || line.starts_with('\t')) {
      // A continuation of a line that was left out is left out with it.
      if (known) headers.back().value += " " + without_controls(line);
      continue;
    }
    size_t colon = line.find(':');
    std::string_view name = colon == line.npos ? std::string_view() : trimmed(line.substr(0, colon));
    // A name with spaces before its colon has been trimmed and counts. Everything else that is not a token is left
    // out.
    known = is_token(name);
    if (known) headers.push_back({std::string(name), without_controls(line.substr(colon + 1))});
  }
  return headers;
}

// Finds the one length that the headers name, perhaps several times ("5, 5"). Returns false if they name different
// lengths.
bool one_length(const std::vector<Line>& headers, std::string& length) {
  for (const auto& each : headers) {
    if (!iequals(each.name, "content-length")) continue;
    for (std::string_view rest = each.value;;) {
      size_t comma = std::min(rest.find(','), rest.size());
      std::string_view value = trimmed(rest.substr(0, comma));
      // Neither of two different lengths is safe: each could hide the beginning of another answer.
      if (!length.empty() && length != value) return false;
      length = value;
      if (comma == rest.size()) break;
      rest.remove_prefix(comma + 1);
    }
  }
  return true;
}

// Finds the coding that the headers name, perhaps several times, as some servers behind others do. Returns false if
// there is none.
bool one_coding(const std::vector<Line>& headers, std::string& coding) {
  for (const auto& each : headers) {
    if (!iequals(each.name, "transfer-encoding") || iequals(each.value, "identity")) continue;
    if (coding.empty()) coding = each.value;
    // With several different codings, parse_response() refuses the result.
    else if (!iequals(coding, each.value)) coding += ", " + each.value;
  }
  return !coding.empty();
}

}  // namespace

// The result goes through parse_response() again, so a repair can never let through what the strict parser refuses.
Parse repair_response(std::string& bytes, Head& head) {
  auto bad = [&](const char* why) {
    head.why = why;
    return Parse::bad;
  };
  constexpr std::string_view kBegin = "HTTP/1.";
  constexpr size_t kMostBlank = 4;  // bytes of empty lines, which some servers send after the body of an earlier answer
  size_t blank = std::min(bytes.find_first_not_of("\r\n"), bytes.size());
  std::string_view rest = std::string_view(bytes).substr(blank);
  if (blank > kMostBlank || !rest.starts_with(kBegin.substr(0, rest.size()))) return bad("it is not HTTP/1");
  if (rest.size() < kBegin.size()) return Parse::incomplete;
  size_t size = 0;
  auto lines = lines_of(rest, size);
  if (lines.empty()) return bytes.size() < kMaxAnswerHead ? Parse::incomplete : bad("the head is too long");
  if (size > kMaxAnswerHead) return bad("the head is too long");
  auto headers = headers_of(lines);
  std::string status = status_line(lines[0]), length, coding;
  bool chunked = one_coding(headers, coding);
  // Chunks define their own end (RFC 9112 §6.3). HTTP/1.0 servers send them too.
  if (chunked && status.starts_with("HTTP/1.0 ")) status[7] = '1';
  // If there are chunks, a length is left out, so it does not matter which one it is.
  if (!chunked && !one_length(headers, length)) return bad("there are several Content-Length values");
  std::string fixed = status + "\r\n";
  for (const auto& each : headers) {
    // These three are written again below, once each.
    if (iequals(each.name, "content-length") || iequals(each.name, "connection")) continue;
    if (iequals(each.name, "transfer-encoding")) continue;
    fixed.append(each.name).append(": ").append(each.value).append("\r\n");
  }
  if (chunked) fixed.append("Transfer-Encoding: ").append(coding).append("\r\n");
  if (!length.empty()) fixed.append("Content-Length: ").append(length).append("\r\n");
  // The server and the guard may disagree on where the answer ends, so nothing after it is read.
  fixed.append("Connection: close\r\n\r\n");
  bytes.replace(0, blank + size, fixed);
  return parse_response(bytes, head);
}

}  // namespace bottle::http
