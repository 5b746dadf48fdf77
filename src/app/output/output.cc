// Everything goes through std::cout and std::cerr, but only as a Line, as ASCII JSON, or as text that is compiled
// into this program. stdout is buffered, so say() flushes it first: otherwise a message could appear before the
// output to which it refers.
#include "app/output/output.h"

#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <nlohmann/json.hpp>

#include "wire/codec/failure.h"

namespace bottle::app {
namespace {

using nlohmann::json;

// In raw mode, a line feed does not return to the left margin (termios(3): OPOST).
const char* line_end(int fd) {
  termios mode{};
  return ::tcgetattr(fd, &mode) == 0 && !(mode.c_oflag & OPOST) ? "\r\n" : "\n";
}

std::string ascii(const json& value, int indent) {
  return value.dump(indent, ' ', true, json::error_handler_t::replace);
}

}  // namespace

void print(const Line& line) { std::cout << line.text() << '\n'; }
void print(const std::vector<Line>& lines) {
  for (const Line& line : lines) print(line);
}
void say(const Line& line) {
  std::cout.flush();
  // One string is one write, so that lines of several processes do not mix.
  std::cerr << line.text() + line_end(2);
}
void say(const std::vector<Line>& lines) {
  for (const Line& line : lines) say(line);
}
void print_json(const json& value, int indent) {
  std::cout << ascii(value, indent) << '\n';
  // A program that reads one line at a time may be waiting for it.
  if (indent < 0) std::cout.flush();
}
void print_json_text(std::string_view text) { std::cout << ascii_json(text); }
void say_json_text(std::string_view text) { std::cerr << ascii_json(text) + "\n"; }
void print_page(std::string_view text) { std::cout << text; }
bool flush_output() { return static_cast<bool>(std::cout.flush()); }

Result<> end_output() {
  errno = 0;
  if (flush_output()) return {};
  int why = errno;
  struct stat st{};
  bool has_reader = ::fstat(STDOUT_FILENO, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
  if (has_reader) return {};
  std::string reason = why ? std::strerror(why) : "some of it could not be written";
  return fail(Code::internal, "writing the output: " + reason, "the output is not complete");
}

int report(const Error& error, bool json) {
  if (json) {
    say_json_text(wire::encode(wire::ErrorReport{error}));
  } else {
    say("bottle: " + error.what);
    if (!error.todo.empty()) say("        " + error.todo);
  }
  return 125;
}

int exit_status(const Result<>& done, bool json) { return done ? 0 : report(done.error(), json); }
int exit_status(const Result<int>& done, bool json) { return done ? *done : report(done.error(), json); }

// These are the usual conventions: NO_COLOR with any text (no-color.org), and a terminal of the type "dumb".
bool has_color(int fd) {
  const char* term = std::getenv("TERM");
  const char* no = std::getenv("NO_COLOR");
  return ::isatty(fd) && !(no && *no) && !(term && std::strcmp(term, "dumb") == 0);
}

Line dim(const Line& text, int fd) { return has_color(fd) ? Line::styled(Line::Style::dim, text) : text; }
Line bold(const Line& text, int fd) { return has_color(fd) ? Line::styled(Line::Style::bold, text) : text; }

size_t output_width() {
  winsize size{};
  // Text in narrower columns could not be read.
  if (::ioctl(1, TIOCGWINSZ, &size) != 0 || size.ws_col < 40) return 100;
  return std::min<size_t>(size.ws_col, 100);
}

std::vector<Line> table(const std::vector<std::vector<Line>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows)
    for (size_t i = 0; i < row.size(); ++i) {
      if (widths.size() <= i) widths.push_back(0);
      widths[i] = std::max(widths[i], row[i].columns());
    }
  std::vector<Line> lines;
  for (const auto& row : rows) {
    Line& line = lines.emplace_back();
    for (size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line += std::string(widths[i] - row[i].columns() + 2, ' ');
    }
  }
  return lines;
}

std::string age(long long seconds) {
  if (seconds < 0) seconds = 0;
  if (seconds < 100) return std::to_string(seconds) + " s";
  if (seconds < 100 * 60) return std::to_string(seconds / 60) + " min";
  if (seconds < 48 * 3600) return std::to_string(seconds / 3600) + " h";
  return std::to_string(seconds / 86400) + " d";
}

}  // namespace bottle::app
