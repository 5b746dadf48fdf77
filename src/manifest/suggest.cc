// Finds the known name that is closest to a mistyped one. If none is close, the names themselves are listed, because
// a wrong suggestion is worse than a list.
#include <algorithm>

#include "manifest/manifest.h"

namespace bottle::manifest {
namespace {

// Returns how many edits turn one text into the other. Swapping two neighbors is one edit (optimal string alignment).
size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i)
    for (size_t j = 1; j <= b.size(); ++j) {
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  return d[a.size()][b.size()];
}

}  // namespace

std::string suggest(const std::string& wrong, const std::vector<std::string>& known) {
  if (known.empty()) return "";
  const std::string* best = nullptr;
  size_t least = 0;
  // Computing the distance takes time and memory proportional to the product of the lengths, and a longer name is
  // hardly a typing mistake.
  if (!wrong.empty() && wrong.size() <= 64) {
    for (const auto& candidate : known) {
      size_t d = distance(wrong, candidate);
      if (!best || d < least) best = &candidate, least = d;
    }
    // Up to a third of the letters may differ. Beyond that, a suggestion is a guess.
    if (least <= std::max<size_t>(1, std::max(wrong.size(), best->size()) / 3)) return "did you mean '" + *best + "'?";
    for (const auto& candidate : known)
      // A short form such as "prod" for "production" is far away by its distance.
      if (wrong.size() >= 3 && (candidate.starts_with(wrong) || wrong.starts_with(candidate)))
        return "did you mean '" + candidate + "'?";
  }
  std::string list = known.size() == 1 ? "the only one is " : "one of: ";
  // A longer list would be too long to read.
  for (size_t i = 0; i < known.size() && i < 12; ++i) list += (i ? ", " : "") + known[i];
  return known.size() > 12 ? list + ", …" : list;
}

bool covers(const std::string& pattern, const std::string& host) {
  if (pattern == "*" || pattern == host) return true;
  if (!pattern.starts_with("*.")) return false;
  // The dot stays, so that *.example.org does not cover badexample.org.
  std::string below = pattern.substr(1);
  return host.size() > below.size() && host.ends_with(below);
}

}  // namespace bottle::manifest
