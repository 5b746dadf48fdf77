// Declares the table of commands. Each command has commands/NAME.cc, which defines add_NAME, and commands/NAME.md, its
// page; CONTRIBUTING.md says how to add one.
#pragma once

#include <span>
#include <string_view>

#include "app/arguments.h"

namespace bottle::app {

// Adds the command and its subcommands, with their flags, to the parser. The descriptions come from the page.
using Add = void (*)(Command app);

// Describes one row of the table: the command's name, which is also that of its page, and the function that adds it.
struct CommandEntry {
  const char* name;
  Add add;
  bool reads_places;  // check who can write to the operator's directories before it runs
};

// Returns the commands in the order of help.
std::span<const CommandEntry> commands();

// Returns the text of commands/NAME.md, which is compiled into the program.
std::string_view page_text(std::string_view name);

// documents() returns the names of the pages of documentation that are compiled into the program, such as
// "docs/manifest.md". document_text() returns the text of one, or nothing if there is no such page.
std::span<const std::string_view> documents();
std::string_view document_text(std::string_view name);

}  // namespace bottle::app
