// Finds where a private key ends. Programs show the lines of a key with numbers before them, as strings of a list, or
// in one line with escapes, and all of these lines belong to the key.
#include <algorithm>

#include "scan/credential/check_text.h"

namespace bottle::scan {
namespace {

// Skips the margin that programs show before a line of a file: spaces, and the line's number with a tab, an arrow or
// a colon.
size_t past_margin(const Text& text, size_t at) {
  auto spaces = [&](size_t from) { return run_end(text, from, [](char c) { return c == ' ' || c == '\t'; }); };
  size_t number = spaces(at), end = run_end(text, number, [](char c) { return c >= '0' && c <= '9'; });
  if (end == number || end - number > 6) return number;
  std::string_view rest = text.substr(end);
  for (std::string_view sign : {"\t", "\\t", "\xe2\x86\x92", "\\u2192", ":", "|"}) {
    if (rest.starts_with(sign)) return spaces(end + sign.size());
    if (sign.starts_with(rest)) return text.size();  // the rest of the sign is still to come
  }
  return number;
}

// Returns where the next line of a key begins, if it is not simply on the next line: programs write the lines of a key
// in one line, as strings of a list, or quote them. Returns npos if none does.
size_t next_key_line(const Text& text, size_t at) {
  constexpr size_t kLongestGap = 40, kShortestLine = 16;
  size_t limit = std::min(text.size(), at + kLongestGap);
  while (at < limit) {
    bool escaped = text[at] == '\\' && at + 1 < limit && (text[at + 1] == 'n' || text[at + 1] == 'r');
    if (!escaped && std::string_view(" \t\r\n\"',+>|\\").find(text[at]) == std::string_view::npos) break;
    at += escaped ? 2 : 1;
  }
  size_t run = run_end(text, at, is_base64);
  return at < limit && run - at >= kShortestLine ? at : text.npos;
}

// Returns where the lines of a key end that begin at `at`. Its line ends may be escaped.
size_t key_end(const Text& whole, size_t at) {
  constexpr size_t kLongestKey = 16 * 1024;
  Text text = whole.first(at + kLongestKey);
  while (at < text.size()) {
    if (is_base64(text[at]) || text[at] == '=' || text[at] == '\r') {
      ++at;
      continue;
    }
    size_t end = at;
    while (end < text.size() && text[end] == '\\') ++end;
    if (end == text.size()) return end;  // the rest of the escape is still to come
    bool escaped = end > at && (text[end] == 'n' || text[end] == 'r');
    size_t next = text[at] != '\n' && !escaped ? text.npos : past_margin(text, end + 1);
    // A line begins with what quotes it, or the lines are strings.
    if (next == text.npos || (next < text.size() && !is_base64(text[next]))) {
      size_t quoted = next_key_line(text, next == text.npos ? at : next);
      if (quoted == text.npos) return text[at - 1] == '\r' ? at - 1 : at;  // the last line end belongs to what follows
      next = quoted;
    }
    at = next;
  }
  return at;
}

}  // namespace

// Finds a body of Base64 after the header of a key, and skips what programs put between them: headers, escapes, quotes.
Found key_body(const Text& text, size_t begin, size_t end) {
  constexpr size_t kLongestLine = 100, kLineWork = 100;
  size_t limit = std::min(text.size(), end + kFar), at = end;
  for (size_t lines = 0; lines < 12 && at < limit; ++lines) {
    while (at < limit && (static_cast<unsigned char>(text[at]) <= ' ' || text[at] == '"' || text[at] == '\'' ||
                          text[at] == '+' || text[at] == ',' || text[at] == '|' || text[at] == '>' || text[at] == '%'))
      ++at;
    if (at + 1 < limit && text[at] == '\\') {  // \n, \r, \\n
      at += 2;
      continue;
    }
    at = std::min(past_margin(text, at), limit);
    size_t run = run_end(text, at, is_base64);
    if (run - at >= 24 && !stands_in(text, at, run)) return Credential{begin, key_end(text, run)};
    text.look(kLineWork);
    std::string_view near = text.substr(run, kLongestLine);
    size_t line = std::min(run + std::min({near.find('\n'), near.find("\\n"), near.size()}), limit);
    if (line - at > kLongestLine || text.substr(at, line - at).find(':') == std::string_view::npos)
      return {};  // not a header
    at = line;
  }
  return {};
}

}  // namespace bottle::scan
