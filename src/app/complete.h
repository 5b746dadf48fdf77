// What could stand where the operator pressed Tab: the parser's tree, and names from the manifest and the
// sessions.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

namespace bottle::app {

struct Candidate {
  std::string value, about;
};

struct Completion {
  enum class Rest { nothing, files, directories };
  std::vector<Candidate> candidates;  // those that begin with the word
  Rest rest = Rest::nothing;          // what the shell itself is to offer
};

// Candidates for a value by the name it has in the page: SESSION, AGENT, MODE … `command` is its full name.
using Names = std::function<std::vector<Candidate>(const std::string& command, const std::string& value)>;

// `words` follow the program's name; the last one is being typed and may be empty.
Completion complete(CLI::App& parser, const std::vector<std::string>& words, const Names& names);

// The names on this machine: agents, bottles, VMs, sessions. Never asks the engine; silent where something
// cannot be read.
std::vector<Candidate> names_here(const std::string& command, const std::string& value);

// One candidate a line, "value<TAB>about", then ":files", ":directories" or ":nothing": what the shells'
// scripts read. Nothing in it can do anything to a terminal: a repository's agents describe themselves.
std::string to_lines(const Completion& completion);

// `bottle __complete WORD…`, called by the shells' scripts. Always 0.
int complete_main(const std::vector<std::string>& words);

}  // namespace bottle::app
