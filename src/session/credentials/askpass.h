// A passphrase for ssh-add and ssh-keygen without a terminal: they run this program instead of asking a person, and it
// answers with the first line of its stdin, which it has from them. So it is in no argv, environment or file.
#pragma once

#include <map>
#include <string>

namespace bottle::session {

inline constexpr const char* kAskpassVariable = "BOTTLE_ASKPASS";
std::map<std::string, std::string> askpass_environment();

// This program in that role: its exit status.
int askpass();

}  // namespace bottle::session
