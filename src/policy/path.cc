// Judges a path segment by segment. Each segment is decoded once, brought into its canonical form, and then refused
// if any server could read it as something other than a plain name: after a second decoding, without its parameters,
// or without characters that file systems drop. The remaining paths have at most three readings, and a rule must
// allow all of them.
//
// The canonical path is sent instead of the original one, so what was judged is what the server gets. A second guard
// (the broker) judges it again and must reach the same result, so the canonical form of a canonical path is that path
// itself.
#include "policy/path.h"

#include <algorithm>

#include "policy/look_alikes.h"

namespace bottle::policy {
namespace {

constexpr char kStar = '\1';  // a literal star; a path cannot contain this character

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Decodes the escape at `at`, or returns -1.
int escaped(std::string_view text, size_t at) {
  if (at + 2 >= text.size() || text[at] != '%' || hex(text[at + 1]) < 0 || hex(text[at + 2]) < 0) return -1;
  return hex(text[at + 1]) * 16 + hex(text[at + 2]);
}

bool alphanumeric(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// RFC 3986: characters that mean the same with or without an escape, and characters that a segment may contain plain.
bool unreserved(char c) { return alphanumeric(c) || std::string_view("-._~").find(c) != std::string_view::npos; }
bool plain(char c) { return unreserved(c) || std::string_view("!$&'()*+,;=:@").find(c) != std::string_view::npos; }

// Returns whether a decoded segment is a plain dot segment, which every server resolves in the same way.
bool dots(std::string_view segment) { return segment == "." || segment == ".."; }

void append_escaped(std::string& out, char c) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  auto byte = static_cast<unsigned char>(c);
  out += '%';
  out += kHex[byte >> 4];
  out += kHex[byte & 15];
}

// Decodes a canonical path or a glob for one reading. An escaped star never becomes a wildcard.
std::string read(std::string_view text, Reading reading) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    int c = escaped(text, i);
    if (c < 0) {
      out += text[i];
      continue;
    }
    i += 2;
    if (reading == Reading::literal && (c == '/' || c == '%')) append_escaped(out, static_cast<char>(c));
    else out += c == '*' ? kStar : static_cast<char>(c);
  }
  // After the first decoding, a percent sign that is left was an escaped one.
  return reading == Reading::decoded_twice ? read(out, Reading::decoded) : out;
}

// Returns the path as seen by a server that drops parameters (";…").
std::string without_parameters(std::string_view path) {
  std::string out;
  bool in_parameter = false;
  for (char c : path) {
    if (c == '/') in_parameter = false;
    if (c == ';') in_parameter = true;
    if (!in_parameter) out += c;
  }
  return out;
}

// Returns whether every double escape stands for a harmless character, which no server treats as part of the path's
// structure. `text` has been decoded once.
bool harmless_twice(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') continue;
    if (i + 1 < text.size() && (text[i + 1] | 0x20) == 'u') return false;  // "%u002f" is another form of escape
    int c = escaped(text, i);
    if (c >= 0 && !alphanumeric(static_cast<char>(c)) &&
        std::string_view(" -_~!$&'()*+,=:@").find(static_cast<char>(c)) == std::string_view::npos)
      return false;
  }
  return true;
}

// Returns what is wrong with a segment that is not a plain dot segment, or null.
const char* judge_piece(std::string_view piece) {
  // Without its parameters, such a segment would be empty.
  if (piece.starts_with(';')) return "a segment of the path begins with a semicolon";
  // Some servers drop parameters, and some drop spaces and invisible characters. The rest must be neither empty nor a
  // dot segment.
  std::string_view name = piece.substr(0, piece.find(';'));
  std::string left = without_the_invisible(name);
  if (left.find_first_not_of('.') == std::string::npos && !piece.empty())
    return "some servers read a segment of the path as a dot segment";
  return nullptr;
}

struct Segment {
  std::string canonical, decoded;
};

// Decodes one segment, and writes it again in the only form in which it may be sent on.
Result<Segment> read_segment(std::string_view raw) {
  Segment segment;
  for (size_t i = 0; i < raw.size(); ++i) {
    char c = raw[i];
    bool was_escaped = c == '%';
    if (was_escaped) {
      int value = escaped(raw, i);
      if (value < 0) return fail(Code::denied, "the path has a broken percent-encoding");
      c = static_cast<char>(value);
      i += 2;
      if (c == '?' || c == '#') return fail(Code::denied, "the path has an encoded delimiter");
    }
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      return fail(Code::denied, "the path has a control character");
    if (c == '\\' || (c == '#' && !was_escaped))
      return fail(Code::denied, "the path has a character that servers read in different ways");
    // Escapes of reserved characters stay, because a server may give "%2B" another meaning than "+" (RFC 3986 §2.2).
    if (was_escaped ? unreserved(c) : plain(c)) segment.canonical += c;
    else append_escaped(segment.canonical, c);
    segment.decoded += c;
  }
  if (!harmless_twice(segment.decoded)) return fail(Code::denied, "the path is encoded twice");
  if (const char* wrong = judge_characters(segment.decoded)) return fail(Code::denied, wrong);
  return segment;
}

// Checks a segment as it is, and as it looks once encoded slashes and double escapes are decoded.
Result<> judge_segment(const Segment& segment) {
  if (dots(segment.decoded)) return {};
  bool slash = segment.decoded.find('/') != std::string::npos;
  // The pieces between encoded slashes are segments for a server that decodes before it splits.
  for (const std::string& text : {segment.decoded, read(segment.decoded, Reading::decoded)}) {
    std::string_view rest = text;
    for (size_t end;; rest.remove_prefix(end + 1)) {
      end = rest.find('/');
      std::string_view piece = rest.substr(0, end);
      if (slash && piece.empty()) return fail(Code::denied, "the path has an encoded slash beside another slash");
      if (const char* wrong = judge_piece(piece)) return fail(Code::denied, wrong);
      if (end == rest.npos) break;
    }
  }
  return {};
}

// Returns whether a segment of a canonical path is the name of a scoped package with an encoded slash.
bool is_scoped(std::string_view segment) {
  size_t slash = segment.find("%2F");
  // The only escape is the slash, and both the scope and the name have text.
  return segment.starts_with('@') && slash != segment.npos && slash > 1 && slash + 3 < segment.size() &&
         segment.find('%', slash + 1) == segment.npos && segment.find('%') == slash;
}

// Returns the canonical path with a slash in the names of scoped packages, or an empty string if there are none.
std::string with_scopes(const std::vector<std::string>& segments, bool directory) {
  std::string path;
  bool any = false;
  for (const std::string& each : segments) {
    path += "/" + each;
    if (!is_scoped(each)) continue;
    path.replace(path.rfind("%2F"), 3, "/");
    any = true;
  }
  if (!any) return "";
  return directory ? path + "/" : path;
}

}  // namespace

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    int byte = escaped(text, i);
    out += byte < 0 ? text[i] : static_cast<char>(byte);
    if (byte >= 0) i += 2;
  }
  return out;
}

Result<JudgedPath> judge_path(std::string_view target) {
  target = target.substr(0, target.find('?'));
  if (!target.starts_with('/')) return fail(Code::denied, "the path does not start with /");
  if (target.size() > kMostPath) return fail(Code::denied, "the path is too long to be judged");
  std::vector<std::string> segments;
  bool directory = false, resolved = false;
  // Reads, judges and resolves one segment after the other.
  for (std::string_view rest = target.substr(1);;) {
    size_t end = rest.find('/');
    bool last = end == rest.npos;
    auto segment = TRY(read_segment(rest.substr(0, end)));
    // Some servers merge "//" into "/", and some do not, so dot segments after it lead to different places.
    if (segment.decoded.empty() && !last) return fail(Code::denied, "the path has an empty segment");
    TRY(judge_segment(segment));
    // "/a/." and "/a/b/.." name a directory, so the canonical path ends with a slash (RFC 3986 §5.2.4).
    directory = last && (segment.decoded.empty() || dots(segment.decoded));
    resolved |= dots(segment.decoded);
    if (segment.decoded == "..") {
      if (segments.empty()) return fail(Code::denied, "the path climbs above the root");
      // Resolved as in RFC 3986 §5.2.4, except that a path above the root is refused instead of cut.
      segments.pop_back();
    } else if (!segment.decoded.empty() && segment.decoded != ".") {
      segments.push_back(std::move(segment.canonical));
    }
    if (last) break;
    rest.remove_prefix(end + 1);
  }
  bool parameters = target.find(';') != target.npos || read(target, Reading::decoded).find(';') != std::string::npos;
  // Servers differ in what they do first: drop the parameters or resolve the dot segments.
  if (resolved && parameters) return fail(Code::denied, "the path has dot segments and a semicolon");
  JudgedPath path;
  for (const auto& each : segments) path.canonical += "/" + each;
  if (directory || path.canonical.empty()) path.canonical += "/";
  // Equal readings are kept once, because each of them costs a comparison with every glob.
  auto add = [&](Reading reading, std::string text) {
    for (const auto& [kind, known] : path.readings)
      if (known == text && kind == reading) return;
    path.readings.emplace_back(reading, std::move(text));
  };
  // Without these two escapes, all readings are the same.
  bool several = path.canonical.find("%2F") != std::string::npos || path.canonical.find("%25") != std::string::npos;
  for (Reading reading : {Reading::literal, Reading::decoded, Reading::decoded_twice}) {
    if (reading != Reading::literal && !several) break;
    std::string text = read(path.canonical, reading);
    // A star in a request is text. Only a rule's star is a wildcard.
    std::ranges::replace(text, '*', kStar);
    if (parameters) add(reading, without_parameters(text));
    add(reading, std::move(text));
  }
  // No client of npm sends parameters, so a path with them does not need the exception.
  if (!parameters) path.scoped = read(with_scopes(segments, directory), Reading::literal);
  std::ranges::replace(path.scoped, '*', kStar);
  return path;
}

Result<PathGlob> PathGlob::compile(std::string_view text) {
  if (!text.starts_with('/') && !text.starts_with("**"))
    return fail(Code::invalid, "path \"" + std::string(text) + "\" does not start with /");
  for (size_t i = 0; i < text.size(); ++i)
    if (text[i] == '%' && escaped(text, i) < 0)
      return fail(Code::invalid, "path \"" + std::string(text) + "\" has a broken percent-encoding", "write % as %25");
  PathGlob glob;
  glob.any_ = text == "/**" || text == "**";
  // A path in one reading is compared with the glob in the same reading.
  for (size_t i = 0; i < kReadings; ++i) glob.patterns_[i] = read(text, static_cast<Reading>(i));
  return glob;
}

bool PathGlob::matches(Reading reading, std::string_view path) const {
  // A matcher that tries each length of each star would take exponential time for some paths, and an agent chooses the
  // path.
  const std::string& pattern = patterns_[static_cast<size_t>(reading)];
  // Goes through the pattern item by item. reachable[j] says that the pattern so far can match exactly path[0..j). All
  // such j are from `first` to `last`, which is a single place until the first star.
  std::vector<char> reachable(path.size() + 1, 0);
  reachable[0] = 1;
  size_t first = 0, last = 0;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '*') {
      bool deep = i + 1 < pattern.size() && pattern[i + 1] == '*';
      if (deep) ++i;
      for (size_t j = first; j < path.size(); ++j) {
        if (!reachable[j] || (!deep && path[j] == '/')) continue;
        reachable[j + 1] = 1;
        last = std::max(last, j + 1);
      }
      continue;
    }
    last = std::min(last + 1, path.size());
    for (size_t j = last; j > first; --j) reachable[j] = reachable[j - 1] && path[j - 1] == pattern[i];
    reachable[first] = 0;
    while (first <= last && !reachable[first]) ++first;
    if (first > last) return false;
  }
  return reachable[path.size()];
}

bool all_allowed(const std::vector<PathGlob>& globs, const JudgedPath& path) {
  return std::ranges::all_of(path.readings, [&](const auto& each) {
    const auto& [reading, text] = each;
    // The path with a slash in the name of a package is not another reading that a rule must allow, but an
    // alternative to the literal one.
    bool scoped = reading == Reading::literal && !path.scoped.empty();
    return std::ranges::any_of(globs, [&](const PathGlob& glob) {
      return glob.matches(reading, text) || (scoped && glob.matches(reading, path.scoped));
    });
  });
}

}  // namespace bottle::policy
