// Makes the parser for all commands of the table, and reads what the pages say about each command.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

namespace bottle::app {

// Makes the whole tree. The callback of a parsed command sets `exit`, which must outlive the parser.
std::unique_ptr<CLI::App> make_parser(int& exit);

struct Page;

// Returns the page that documents a command of the tree: that of its outermost command. Returns null for hidden
// commands.
const Page* page_of(const CLI::App& command);

// Returns the full name of a subcommand, such as "bottle image build".
std::string full_name(const CLI::App& command);

// Returns what the page says about an option ("--json", "SESSION") or about a command, or an empty string.
std::string description(const CLI::App& command, const CLI::Option& option);
std::string description(const CLI::App& command);

// Returns the terms under which a page documents an option: "--json"; "-p" and "--prompt"; "AGENT".
std::vector<std::string> terms_of(const CLI::Option& option);

// Returns whether a command line that is not parsed yet asks for JSON.
bool asks_for_json(int argc, char** argv);

// Parses the arguments and runs the command. Returns the program's exit status.
int run(int argc, char** argv);

}  // namespace bottle::app
