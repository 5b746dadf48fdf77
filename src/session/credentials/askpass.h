// Passes a passphrase to ssh-add and ssh-keygen without a terminal. They run this program instead of asking a
// person, and it prints the first line of the stdin that it inherits from them. The passphrase is therefore in no argv,
// environment or file.
#pragma once

#include "base/os/process.h"
#include "base/unique_fd.h"

namespace bottle::session {

// This variable tells main() to run askpass() and nothing else.
inline constexpr const char* kAskpassVariable = "BOTTLE_ASKPASS";
// Makes ssh-add or ssh-keygen, which the command runs, ask this program for a passphrase, even if it has a terminal.
// Keep what it returns until the command was started.
UniqueFd ask_this_program(Command& command);

// Runs this program as SSH_ASKPASS. Returns its exit status.
int askpass();

}  // namespace bottle::session
