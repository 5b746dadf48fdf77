// Computes the completions for the Tab key from the parser's tree, the names in the manifest, and the names of the
// sessions.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

namespace bottle::app {

// Describes one possible completion of the word that is being typed. `about` may be empty.
struct Candidate {
  std::string value, about;
};

// Holds everything that one press of the Tab key can offer.
struct Completion {
  enum class Rest { nothing, files, directories };
  std::vector<Candidate> candidates;  // those that begin with the typed word
  Rest rest = Rest::nothing;          // what the shell itself should offer
};

// Returns candidates for a value by its name in the page: SESSION, AGENT, MODE … `command` is the full name of the
// command.
using Names = std::function<std::vector<Candidate>(const std::string& command, const std::string& value)>;

// Returns the completions. `words` are the words after the program's name; the last one is being typed and may be
// empty.
Completion complete(CLI::App& parser, const std::vector<std::string>& words, const Names& names);

// Returns the names on this machine: agents, bottles, VMs, sessions. Never queries the engine. Silently skips files
// that cannot be read.
std::vector<Candidate> names_here(const std::string& command, const std::string& value);

// Returns one candidate per line, "value<TAB>about", then ":files", ":directories" or ":nothing", for the scripts of
// the shells. The text has no effect on a terminal, because descriptions of agents may come from a repository.
std::string to_lines(const Completion& completion);

// Runs `bottle __complete WORD…`, which the scripts of the shells call. Always returns 0.
int complete_main(const std::vector<std::string>& words);

}  // namespace bottle::app
