// Holds the text around a match for the checks of checks.h, and declares those checks that have files of their own.
// Pure.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string_view>

#include "scan/credential/characters.h"
#include "scan/credential/checks.h"
#include "scan/credential/stand_in.h"

namespace bottle::scan {

using Found = std::optional<Credential>;
inline constexpr size_t kFar = 4096;  // bytes around a match

// Holds the text around a match, and counts the work of looking at it.
class Text : public std::string_view {
 public:
  Text(std::string_view text, Judging& judging) : std::string_view(text), judging_(&judging) {}
  Text first(size_t bytes) const { return {substr(0, bytes), *judging_}; }
  void look(size_t bytes) const { judging_->work += bytes; }
  // Counts the work of examining all properties of a value.
  void look_closely(size_t bytes) const { judging_->work += 4 * bytes; }
  Judging::Known& known(Judging::Row row) const { return judging_->rows[row]; }
  PlainText& plain() const { return judging_->plain; }

 private:
  Judging* judging_;
};

// Returns where the characters from `from` on end for which `member` is true. Looks at most kFar bytes ahead.
template <typename F>
size_t run_end(const Text& text, size_t from, F member) {
  size_t end = from, limit = std::min(text.size(), from + kFar);
  while (end < limit && member(text[end])) ++end;
  text.look(end - from);
  return end;
}

// Does the same for a row that may be long and have many matches. Reads each of its characters once.
inline size_t row_end(const Text& text, size_t from, Judging::Row row) {
  Judging::Known& known = text.known(row);
  const char* begin = text.data() + from;
  if (!known.begin || begin < known.begin || begin > known.end) known = {begin, begin};
  size_t limit = std::min(text.size(), from + kFar), end = static_cast<size_t>(known.end - text.data());
  if (end >= limit) return limit;
  size_t to = end_of_row(text.substr(0, limit), end, row == Judging::kToken ? "-_" : "+/-_=");
  text.look(to - end);
  known.end = text.data() + to;
  return to;
}

// Returns where the line end at `at` ends, which may be escaped as in JSON, or `at` if there is none.
inline size_t past_line_end(const Text& text, size_t at) {
  size_t end = at;
  if (end < text.size() && text[end] == '\r') ++end;
  if (end < text.size() && text[end] == '\n') return end + 1;
  end = run_end(text, at, [](char c) { return c == '\\'; });
  return end > at && end < text.size() && text[end] == 'n' ? end + 1 : at;
}

// Returns whether `word` is among the `far` bytes before `at`.
inline bool before(const Text& text, size_t at, size_t far, std::string_view word) {
  constexpr size_t kAtOnce = 4;  // the search for a word is fast
  text.look(far / kAtOnce);
  size_t from = at - std::min(at, far);
  return text.substr(from, at - from).find(word) != std::string_view::npos;
}

// Returns whether [begin, end) is what people write instead of a value.
inline bool stands_in(const Text& text, size_t begin, size_t end) {
  size_t read = 0;
  bool is_so = is_stand_in(text.substr(begin, end - begin), text.plain(), read);
  text.look_closely(read);
  return is_so;
}

// Finds the value of at least `shortest` characters that begins at `end`, where its name and the assignment operator
// end (assigned_value.cc).
Found assigned(const Text& text, size_t end, size_t shortest);
// Finds the value after "NAME=", "NAME: type =", "NAME:" and a line end, "NAME: [" and the like, of which `end` is the
// end. It must look random (assigned_value.cc).
Found assignment(const Text& text, size_t end);

// Finds a body of Base64 after the header [begin, end) of a key, and skips what programs put between them: headers,
// escapes, quotes (private_key.cc).
Found key_body(const Text& text, size_t begin, size_t end);

}  // namespace bottle::scan
