// The parser: every command of the table, described by its page.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

namespace bottle::app {

// The whole tree. A parsed command's callback sets `exit`, which must outlive the parser.
std::unique_ptr<CLI::App> make_parser(int& exit);

struct Page;

// The page that a command of the tree stands on: that of its outermost command. Null for hidden ones.
const Page* page_of(const CLI::App& command);

// "bottle image build" for that subcommand.
std::string full_name(const CLI::App& command);

// What the page says of an option ("--json", "SESSION"), or nothing.
std::string description(const CLI::App& command, const CLI::Option& option);

// The terms under which a page documents an option: "--json"; "-p" and "--prompt"; "AGENT".
std::vector<std::string> terms_of(const CLI::Option& option);

// Parses and runs. The program's exit status.
int run(int argc, char** argv);

}  // namespace bottle::app
