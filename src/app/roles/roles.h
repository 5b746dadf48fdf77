// Lists the roles of the program that are not commands for people. One program plays all roles, so that a supervisor, a
// broker or a far side always has the same version as the launcher that starts it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace bottle::app {

struct Role {
  std::string_view word;       // the first argument of the program
  size_t fewest = 0, most;     // how many arguments follow it
  bool reads_places = true;    // who can write to the operator's directories is checked before it runs
  bool is_silent = false;      // it exits with 0 and prints nothing if that check fails
  bool holds_secrets = false;  // it needs a randomized address space even if the machine starts programs without one
  int (*run)(const std::vector<std::string>& arguments);  // returns the exit status
  // If set, also reports the error of that check in the role's own way, for a caller that does not read its stderr.
  void (*refuse)(const Error& why, const std::vector<std::string>& arguments) = nullptr;
};

// Returns the role that the program's arguments, without its name, select, or null if they are for the parser of the
// commands.
const Role* role_of(const std::vector<std::string>& arguments);

}  // namespace bottle::app
