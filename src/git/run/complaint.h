// Reads git's error messages. An agent chooses names and texts that git repeats in them, and its words must not pass
// for an error of this machine.
#pragma once

#include <string_view>
#include <vector>

namespace bottle::git {

// Returns the first lines of git's errors, without "fatal: " or "error: ". Only the first one is surely git's own: a
// name in an earlier message may contain newlines.
std::vector<std::string_view> errors_in(std::string_view complaint);

// Returns the error of the system (an errno) with which a message of errors_in() ends, or 0. Only messages that say
// what git did at that moment count, because other messages may end with text that git quotes.
int system_error_of(std::string_view message);

// Returns whether the message says that git reached a limit on memory.
bool is_out_of_memory(std::string_view message);

// Returns the signal that, as the message says, ended a process that git had started, or 0.
int signal_of(std::string_view message);

}  // namespace bottle::git
