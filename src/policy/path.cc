#include "policy/path.h"

#include <vector>

namespace bottle::policy {
namespace {

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

Result<std::string> normalise_path(std::string_view target) {
  target = target.substr(0, target.find('?'));
  if (!target.starts_with('/')) return fail(Code::denied, "the path does not start with /");
  std::vector<std::string> segments;
  std::string segment;
  bool directory = false;
  auto close = [&](bool last) -> Result<> {
    directory = last && (segment.empty() || segment == "." || segment == "..");
    if (segment.empty() && !last) return fail(Code::denied, "an empty path segment");
    if (segment == "..") {
      if (segments.empty()) return fail(Code::denied, "the path climbs above the root");
      segments.pop_back();
    } else if (segment.starts_with("..;") || segment.starts_with(".;")) {
      return fail(Code::denied, "a dot segment with parameters");
    } else if (!segment.empty() && segment != ".") {
      segments.push_back(segment);
    }
    segment.clear();
    return {};
  };
  for (size_t i = 1; i < target.size(); ++i) {
    char c = target[i];
    if (c == '/') {
      TRY(close(false));
      continue;
    }
    if (c == '%') {
      int high = i + 1 < target.size() ? hex(target[i + 1]) : -1, low = i + 2 < target.size() ? hex(target[i + 2]) : -1;
      if (high < 0 || low < 0) return fail(Code::denied, "a broken percent-encoding");
      c = static_cast<char>(high * 16 + low);
      i += 2;
      if (c == '/' || c == '\\' || c == '%' || c == '?' || c == '#' || c == ';')
        return fail(Code::denied, "an encoded delimiter in the path");
    }
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '\\' || c == '#')
      return fail(Code::denied, "an ambiguous byte in the path");
    segment += c;
  }
  TRY(close(true));
  std::string path;
  for (const auto& each : segments) path += "/" + each;
  if (directory || path.empty()) path += "/";
  return path;
}

bool glob_matches(std::string_view pattern, std::string_view path) {
  // Row by row over the pattern: reachable[j] says that the pattern so far can end before path[j].
  std::vector<char> reachable(path.size() + 1, 0), next(path.size() + 1);
  reachable[0] = 1;
  for (size_t i = 0; i < pattern.size(); ++i) {
    bool star = pattern[i] == '*', deep = star && i + 1 < pattern.size() && pattern[i + 1] == '*';
    if (deep) ++i;
    for (size_t j = 0; j <= path.size(); ++j) {
      if (star) next[j] = reachable[j] || (j > 0 && next[j - 1] && (deep || path[j - 1] != '/'));
      else next[j] = j > 0 && reachable[j - 1] && path[j - 1] == pattern[i];
    }
    std::swap(reachable, next);
  }
  return reachable[path.size()];
}

}  // namespace bottle::policy
