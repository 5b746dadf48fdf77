// What commands print. Everything that a person reads goes through here (output_test.cc sees to it): as lines in which
// a stranger's words do nothing to the terminal and cannot pass for lines of ours (base/line.h).
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/line.h"
#include "wire/codec/codec.h"

namespace bottle::app {

struct Output {
  bool json = false, quiet = false;
};

// Prints "bottle: what" and what to do to stderr (as JSON: {"error":{…}}), and returns 125.
int report(const Error& error, bool json = false);

// A line on stdout, a line on stderr. The latter begins at the left also where a session has the terminal in raw mode.
void print(const Line& line);
void print(const std::vector<Line>& lines);
void say(const Line& line);
void say(const std::vector<Line>& lines);
// Data for programs, in ASCII: a terminal may be at the other end. `indent` -1: one line, which is not held back.
void print_json(const nlohmann::json& value, int indent = 2);
void say_json(const nlohmann::json& value);
// JSON that is text already: of a file, as it is there, or a message.
void print_json_text(std::string_view text);
void say_json_text(std::string_view text);  // one line
// A message, as a part of what is printed.
template <class Message>
nlohmann::json to_json(const Message& message) {
  return nlohmann::json::parse(wire::encode(message));
}
// Text that this program carries, with line ends and styles of its own: never anybody else's.
void print_page(std::string_view text);
// Whether what was printed so far could be written; false: nobody reads it any more.
bool flush_output();

// Whether descriptor `fd` is a terminal that shows colors: not with NO_COLOR, nor where TERM is dumb.
bool has_color(int fd);
Line dim(const Line& text, int fd = 2);
Line bold(const Line& text, int fd = 1);

// Columns to write in on stdout: the terminal's, 100 at most; 100 where there is none.
size_t output_width();

// Left-aligned columns, two blanks apart; the last one is not padded. The first row is the heading.
std::vector<Line> table(const std::vector<std::vector<Line>>& rows);

// "12 s", "5 min", "3 h", "2 d".
std::string age(long long seconds);
// "1.2 GB", "340 MB", "12 KB".
std::string size_text(unsigned long long bytes);

}  // namespace bottle::app
