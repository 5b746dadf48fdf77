// Makes untrusted text safe for a terminal. Names of directories, files, branches and hosts, agents of a repository,
// and messages from an engine, a hook or another machine reach the operator only through these functions.
#pragma once

#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace bottle {

constexpr size_t kLongestLine = 8192;

// Returns `text` as one line that cannot control a terminal or hide its content. UTF-8 is kept, except for control
// characters (C0, DEL, C1) and characters that change the writing direction, end a line, are invisible, or are not
// assigned (private use and unused planes). Control bytes become escapes such as \n, \t or \x1b, characters become
// escapes such as \u{202e}, and a byte that is not UTF-8 becomes one such as \xff. Applying the function again changes
// nothing. A line longer than `most` bytes is cut and ends with "…".
std::string one_line(std::string_view text, size_t most = kLongestLine);

// Returns a program's output as one line. Its lines are joined by " | "; empty ones are left out.
std::string folded(std::string_view text, size_t most = 1000);

// One line for a person. Every constructor applies one_line(), so code that prints values of this type
// (app/output/output.h) does not depend on where the text comes from.
class Line {
 public:
  enum class Style { bold, dim, red, green };

  Line() = default;
  template <typename Text>
    requires std::convertible_to<const Text&, std::string_view>
  Line(const Text& text) : text_(one_line(text)) {}  // implicit, so that the safe way is also the shortest

  // Returns the line in a style, which is the only way in which an escape sequence gets into a Line.
  static Line styled(Style style, const Line& line);

  // Return the safe text, with the escape sequences of styled(), and whether there is none.
  const std::string& text() const { return text_; }
  bool empty() const { return text_.empty(); }
  size_t columns() const;  // the number of visible characters; a wide one counts once

  Line& operator+=(const Line& more) {
    text_ += more.text_;
    return *this;
  }
  friend Line operator+(Line first, const Line& second) { return first += second; }
  bool operator==(const Line&) const = default;

 private:
  std::string text_;
};

// Splits our own text into lines and makes each of them safe. Untrusted text in it must already be a Line.
std::vector<Line> lines_of(std::string_view text);

// Joins lines into a text that is stored or sent.
std::string joined(const std::vector<Line>& lines);  // each ends with a newline

// Makes JSON text safe for a terminal: everything but printable ASCII and line ends becomes \uXXXX, which means the
// same in JSON.
std::string ascii_json(std::string_view text);

// Splits a stream into lines for a person and calls `take` with each whole line. A carriage return also ends a line. A
// line longer than `kLongestLine` is cut.
class LineReader {
 public:
  // Adds bytes, and calls `take` with each line that they complete.
  template <typename Take>
  void feed(std::string_view bytes, Take&& take) {
    for (char c : bytes) {
      if (c == '\n' || c == '\r') end(take);
      else if (line_.size() <= kLongestLine) line_ += c;
    }
  }
  // Passes on the last line if the stream ended without a line end. Empty lines are left out.
  template <typename Take>
  void end(Take&& take) {
    if (line_.find_first_not_of(' ') != std::string::npos) take(Line(line_));
    line_.clear();
  }

 private:
  std::string line_;
};

}  // namespace bottle
