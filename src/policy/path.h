// Request paths and the globs of rules. Pure.
//
// Servers read one path in several ways: some decode %2F before they look for slashes, some decode twice, some drop
// what follows a semicolon. A rule must hold for all of them. So a path that is judged becomes a canonical one, which
// is what goes on, and that is matched in each of its readings. What no set of readings can cover is refused.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace bottle::policy {

// How a server may take the escapes of a path. They differ only where a name holds an encoded slash or percent sign.
enum class Reading { literal, decoded, decoded_twice };
inline constexpr size_t kReadings = 3;

struct JudgedPath {
  // Spelled in one way: dot segments resolved, unreserved characters plain, the others escaped as they were. Judged
  // again it is the same.
  std::string canonical;
  // All that it may be taken for, without repetitions; each must be allowed.
  std::vector<std::pair<Reading, std::string>> readings;
};

// The path of a request target ("/a/b?c": "/a/b"). Code::denied for what cannot be judged: empty segments, those that
// some servers take for dot segments, backslashes, control characters, encoded "?" and "#", escapes of escapes of what
// matters, what is not UTF-8, characters that some servers turn into dots or slashes, more than kMostPath bytes.
Result<JudgedPath> judge_path(std::string_view target);
inline constexpr size_t kMostPath = 8192;

// A glob: '*' matches within a segment, '**' across them. Its escapes are read as those of a path are, so "/@acme%2f*"
// means what a client asks for as "/@acme%2fleft", in every reading.
class PathGlob {
 public:
  // Code::invalid for a broken escape, or where it does not start with "/" or "**".
  static Result<PathGlob> compile(std::string_view text);

  // Whether it allows every path, judged or not: "/**".
  bool any() const { return any_; }
  // Time is bounded by pattern × path.
  bool matches(Reading reading, std::string_view path) const;

 private:
  bool any_ = false;
  std::array<std::string, kReadings> patterns_;
};

// Whether every reading of the path is matched by one of the globs.
bool all_allowed(const std::vector<PathGlob>& globs, const JudgedPath& path);

}  // namespace bottle::policy
