// Looks for services of this machine that a mount would give to the agent.
#pragma once

#include <string>

#include "base/error.h"

namespace bottle::session {

// Fails with Code::denied if a process listens on a socket in or below the directory: whoever can open the directory
// can connect to it, in any network namespace, and a service such as a database mistakes the agent for the operator.
// Does not follow links. Connects once to each socket that it finds. Fails with Code::limit if the directory has more
// than 20 million entries. Does not look into directories that this user cannot read.
Result<> check_no_service_listens(const std::string& directory);

}  // namespace bottle::session
