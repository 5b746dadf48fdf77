// The table of commands. Each is commands/NAME.cc, which defines add_NAME, and commands/NAME.md, its page;
// CONTRIBUTING.md says how to add one.
#pragma once

#include <span>
#include <string_view>

namespace CLI {
class App;
}

namespace bottle::app {

// Adds the command and its subcommands, with their flags, to the parser. Their callbacks set `exit`: the
// program's exit status. Descriptions are not given here: they are the page's.
using Add = void (*)(CLI::App& app, int& exit);

struct CommandEntry {
  const char* name;
  Add add;
};

// In the order of help.
std::span<const CommandEntry> commands();

// The text of commands/NAME.md, carried in the program.
std::string_view page_text(std::string_view name);

}  // namespace bottle::app
