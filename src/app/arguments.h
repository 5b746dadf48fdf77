// Declares the arguments of commands. The commands include this file instead of the parser's header, whose code would
// be compiled again with each of them.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace bottle::app {

// Refers to a flag, an option with a value or a positional argument. The parser owns the argument.
class Argument {
 public:
  explicit Argument(CLI::Option* option) : option_(option) {}

  // Each function returns the same argument, so that calls can be chained. required() makes it an error to leave the
  // argument out; needs() and excludes() relate it to other arguments of the same command; one_of() refuses all other
  // values, except `old`, which earlier versions documented and errors do not name.
  Argument required();
  Argument needs(Argument other);
  Argument excludes(Argument other);
  Argument one_of(const std::vector<std::string>& values, const std::string& old = {});
  Argument one_value_each();              // for a list: each use takes one value, and the next word is not a value
  Argument separated_by(char delimiter);  // for a list: one word may hold several values

 private:
  CLI::Option* option_;
};

// Refers to a command or a group of commands. The parser owns the command.
class Command {
 public:
  // The function of the command that the command line names stores the program's exit status in `exit`, which must
  // outlive the parser.
  Command(CLI::App& app, int& exit) : app_(&app), exit_(&exit) {}

  Command command(const std::string& name);  // adds a subcommand
  Command group(const std::string& name);    // adds a subcommand that must be followed by one of its subcommands

  // The names are "-p,--prompt" for an option and "agent" for a positional argument. The variable must outlive the
  // parser.
  Argument option(const std::string& names, std::string& value);
  Argument option(const std::string& names, std::vector<std::string>& values);
  Argument flag(const std::string& names, bool& value);

  // Calls `run` after parsing if the command line names this command. It returns the program's exit status.
  void runs(std::function<int()> run);

 private:
  CLI::App* app_;
  int* exit_;
};

}  // namespace bottle::app
