// Judges request paths and matches them with the globs of rules. Pure.
//
// Servers read a path in different ways: some decode %2F before they look for slashes, some decode twice, and some drop
// everything after a semicolon. A rule must hold for all of them. So we bring a path into a canonical form, match every
// reading of that form, and send that form on. We refuse a path whose readings we cannot enumerate.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace bottle::policy {

// Lists the ways in which a server may read the escapes of a path. They differ only if the path contains an encoded
// slash or an encoded percent sign.
enum class Reading { literal, decoded, decoded_twice };
inline constexpr size_t kReadings = 3;

// Holds a path and all the ways in which a server may read it. judge_path() makes it, and the guard sends
// `canonical`.
struct JudgedPath {
  // The canonical form, in which dot segments are resolved, unreserved characters are plain, and all others stay
  // escaped. Judging it again does not change it.
  std::string canonical;
  // All readings of the path, without repetitions. Each of them must be allowed.
  std::vector<std::pair<Reading, std::string>> readings;
  // The literal reading with a slash in the names of scoped packages, or empty if there are none. npm's clients write
  // "/@scope%2fname", and registries read that as the package "name" of "@scope". A glob that allows this reading
  // therefore also allows the literal one.
  std::string scoped;
};

// Decodes each percent escape (RFC 3986, section 2.1) once. A broken escape stays as it is, and so does '+', which
// means a space only in forms.
std::string percent_decoded(std::string_view text);

// Judges the path of a request target, which for "/a/b?c" is "/a/b". Fails with Code::denied if it contains an empty
// segment, a segment that some servers read as a dot segment, a backslash, a control character, an encoded "?" or "#",
// a double escape of a significant character, bytes that are not UTF-8, a character that some servers turn into a dot
// or a slash, or more than kMostPath bytes.
Result<JudgedPath> judge_path(std::string_view target);
inline constexpr size_t kMostPath = 8192;

// Stands for a glob: '*' matches within a segment, '**' across segments. Its escapes are read like those of a path,
// so that "/@acme%2f*" matches a request for "/@acme%2fleft" in every reading.
class PathGlob {
 public:
  // Fails with Code::invalid if an escape is broken, or if the glob does not start with "/" or "**".
  static Result<PathGlob> compile(std::string_view text);

  // Returns whether this is "/**", which allows every path, even one that cannot be judged.
  bool any() const { return any_; }
  // Takes time proportional to the length of the pattern times that of the path.
  bool matches(Reading reading, std::string_view path) const;

 private:
  bool any_ = false;
  std::array<std::string, kReadings> patterns_;
};

// Returns whether each reading of the path matches one of the globs.
bool all_allowed(const std::vector<PathGlob>& globs, const JudgedPath& path);

}  // namespace bottle::policy
