// Defines why a client gets an answer from the guard itself instead of one from a server.
#pragma once

#include <string>
#include <string_view>

#include "guard/audit/audit_line.h"

namespace bottle::guard {

// The status and the code go to the client, and the code and the reason go into the record.
struct ClientError {
  int status;
  std::string_view code;
  std::string reason;

  // Returns what the record calls it: a refusal by the rules, or a failure.
  Action action() const { return status == 403 ? Action::deny : Action::close; }
};

}  // namespace bottle::guard
