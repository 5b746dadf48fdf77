// The one way of a stranger's words to a person's terminal: directory, file, branch and host names, a repository's
// agents, what an engine, a hook or another machine says.
#pragma once

#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace bottle {

constexpr size_t kLongestLine = 8192;

// `text` as one line that does nothing to a terminal and reads as what it is. UTF-8 stays as it is, except for
// characters that control (C0, DEL, C1), turn the direction of writing, end a line, cannot be seen, or are nobody's
// (private use, planes without characters): of bytes they become \n, \t or \x1b, of characters \u{202e}. A byte that is
// no UTF-8 becomes \xff. Doing it twice changes nothing more. What would be longer than `most` bytes ends with "…".
std::string one_line(std::string_view text, size_t most = kLongestLine);

// What a program said in one line: its own are joined by " | ", empty ones left out.
std::string folded(std::string_view text, size_t most = 1000);

// One line for a person. It is made of any text, and cannot be made but through one_line(): whoever prints lines of
// this type (app/output/output.h) needs not think about where the words come from.
class Line {
 public:
  enum class Style { bold, dim };

  Line() = default;
  template <typename Text>
    requires std::convertible_to<const Text&, std::string_view>
  Line(const Text& text) : text_(one_line(text)) {}  // implicit, so that the safe way is the short one

  static Line styled(Style style, const Line& line);

  const std::string& text() const { return text_; }
  bool empty() const { return text_.empty(); }
  size_t columns() const;  // characters that are seen; a wide one counts once

  Line& operator+=(const Line& more) {
    text_ += more.text_;
    return *this;
  }
  friend Line operator+(Line first, const Line& second) { return first += second; }
  bool operator==(const Line&) const = default;

 private:
  std::string text_;
};

// Text of ours that has several lines, each made harmless by itself: a stranger's words in it were lines before.
std::vector<Line> lines_of(std::string_view text);

// The other direction, for what is kept or sent as text.
std::string joined(const std::vector<Line>& lines);  // each ends with a newline

// JSON text, ours or a stranger's, for a terminal: whatever is not printable ASCII becomes \uXXXX, which in JSON is
// another way to write the same. Line ends stay.
std::string ascii_json(std::string_view text);

// For pieces of a stream: calls back with each whole line, for a person; a carriage return ends one too. What is longer
// than `kLongestLine` is cut off.
class LineReader {
 public:
  template <typename Take>
  void feed(std::string_view bytes, Take&& take) {
    for (char c : bytes) {
      if (c == '\n' || c == '\r') end(take);
      else if (line_.size() <= kLongestLine) line_ += c;
    }
  }
  // The rest, where the stream ended without a line end. Empty lines are not told.
  template <typename Take>
  void end(Take&& take) {
    if (line_.find_first_not_of(' ') != std::string::npos) take(Line(line_));
    line_.clear();
  }

 private:
  std::string line_;
};

}  // namespace bottle
