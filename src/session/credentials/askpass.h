// Passes a passphrase to ssh-add and ssh-keygen without a terminal. They run this program instead of asking a
// person, and it prints the first line of the stdin that it inherits from them. The passphrase is therefore in no argv,
// environment or file.
#pragma once

#include <map>
#include <string>

namespace bottle::session {

// This variable tells main() to run askpass() and nothing else.
inline constexpr const char* kAskpassVariable = "BOTTLE_ASKPASS";
// Returns the variables that make ssh-add and ssh-keygen ask this program for a passphrase, even if they have a
// terminal.
std::map<std::string, std::string> askpass_environment();

// Runs this program as SSH_ASKPASS. Returns its exit status.
int askpass();

}  // namespace bottle::session
