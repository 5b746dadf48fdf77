// Prints the output of commands. All output for people goes through this file (output_test.cc checks that). It prints
// lines in which untrusted text has no effect on the terminal and cannot look like lines of bottle
// (base/text/line.h).
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/text/line.h"
#include "wire/codec/codec.h"

namespace bottle::app {

// Says how a command was asked to print. With `quiet`, a session's progress and result are not shown.
struct Output {
  bool json = false, quiet = false;
};

// Prints "bottle: what" and what to do to stderr (as JSON: {"error":{…}}). Returns 125.
int report(const Error& error, bool json = false);
// Returns the exit status of a command: 0, its own, or that of report().
int exit_status(const Result<>& done, bool json = false);
int exit_status(const Result<int>& done, bool json = false);

// print() writes lines to stdout and say() to stderr. The latter begin at the left margin even if a session has the
// terminal in raw mode.
void print(const Line& line);
void print(const std::vector<Line>& lines);
void say(const Line& line);
void say(const std::vector<Line>& lines);
// Prints data for programs, in ASCII, because the output may be a terminal. With `indent` -1, prints one line and
// flushes it.
void print_json(const nlohmann::json& value, int indent = 2);
// Prints JSON that is already text: the unchanged content of a file, or a message.
void print_json_text(std::string_view text);
void say_json_text(std::string_view text);  // prints one line to stderr
// Returns a message as a part of other output.
template <class Message>
nlohmann::json to_json(const Message& message) {
  return nlohmann::json::parse(wire::encode(message));
}
// Prints text that is compiled into this program, with its own line ends and styles. Never pass text from elsewhere.
void print_page(std::string_view text);
// Returns whether everything printed so far could be written. False means that the reader is gone.
bool flush_output();
// Writes the rest of the output. Fails if some output was lost, for example because the disk is full, but not if its
// reader is gone.
Result<> end_output();

// Returns whether descriptor `fd` is a terminal that shows colors. It does not with NO_COLOR or if TERM is dumb.
bool has_color(int fd);
// Return the text in that style if `fd` shows colors, and otherwise unchanged.
Line dim(const Line& text, int fd = 2);
Line bold(const Line& text, int fd = 1);

// Returns the number of columns for stdout: the terminal's, at most 100; 100 if it is not a terminal.
size_t output_width();

// Returns left-aligned columns, two blanks apart. The last one is not padded. The first row is the heading.
std::vector<Line> table(const std::vector<std::vector<Line>>& rows);

// Returns an age such as "12 s", "5 min", "3 h", "2 d".
std::string age(long long seconds);

}  // namespace bottle::app
