// Checks that judging a path again does not change it, that it contains no dot segment in any reading, and that every
// server that decodes it sees the same path.
#include <cstdlib>

#include "policy/look_alikes.h"
#include "policy/path.h"

using namespace bottle::policy;

namespace {

// Returns whether the path leaves its directory for a careless server, which decodes it and drops parameters, spaces
// and empty segments.
bool leaves(std::string_view path) {
  std::string segment;
  for (size_t i = 1; i <= path.size(); ++i) {
    if (i < path.size() && path[i] != '/') {
      segment += path[i];
      continue;
    }
    segment = segment.substr(0, segment.find(';'));
    std::erase(segment, ' ');
    if (segment == ".." || segment == ".") return true;
    segment.clear();
  }
  return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
  std::string_view target(reinterpret_cast<const char*>(data), size);
  auto path = judge_path(target);
  (void)PathGlob::compile(target);
  if (!path) return 0;
  auto again = judge_path(path->canonical);
  if (!again || again->canonical != path->canonical || again->readings != path->readings) std::abort();
  if (path->readings.empty() || path->readings[0].first != Reading::literal) std::abort();
  for (const auto& [reading, text] : path->readings) {
    if (!text.starts_with('/') || text.find('\\') != text.npos || text.find('\0') != text.npos) std::abort();
    if (judge_characters(text == "/" ? "" : text) && text.find('\1') == text.npos) std::abort();
    if (leaves(text)) std::abort();
  }
  // A rule that is the path itself, with its escapes, must allow it.
  auto glob = PathGlob::compile(path->canonical);
  if (!glob) std::abort();
  if (path->readings.size() == 1 && !all_allowed({*glob}, *path) && target.find('*') == target.npos) std::abort();
  return 0;
}
