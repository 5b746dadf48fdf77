// What commands print: errors, colours, tables.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace bottle::app {

struct Output {
  bool json = false, quiet = false;
};

// Prints "bottle: what" and what to do to stderr (as JSON: {"error":{…}}), and returns 125.
int report(const Error& error, bool json = false);

// Whether descriptor `fd` is a terminal that shows colours: not with NO_COLOR, nor where TERM is dumb.
bool has_colour(int fd);
std::string dim(const std::string& text, int fd = 2);
std::string bold(const std::string& text, int fd = 1);

// Columns to write in on stdout: the terminal's, 100 at most; 100 where there is none.
size_t output_width();

// Words of an agent or a repository as one line that does nothing to a terminal.
std::string one_line(std::string_view text);

// Left-aligned columns, two blanks apart; the last one is not padded. The first row is the heading.
std::string table(const std::vector<std::vector<std::string>>& rows);

// "12 s", "5 min", "3 h", "2 d".
std::string age(long long seconds);
// "1.2 GB", "340 MB", "12 KB".
std::string size_text(unsigned long long bytes);

}  // namespace bottle::app
