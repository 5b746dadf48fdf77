// Defines why a client gets an answer from the guard itself instead of one from a server.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "guard/audit/audit_line.h"
#include "policy/rules.h"

namespace bottle::guard {

// Returns whether the guard answers with this status because it refuses the request. Any other status reports a
// failure.
constexpr bool is_refusal(int status) { return status == 403 || status == 400 || status == 431; }

// The status and the code go to the client, and the code and the reason go into the record.
struct ClientError {
  int status;
  std::string_view code;
  std::string reason;
  std::optional<policy::Lacks> lacks = {};  // for a refusal by the rules

  // Returns what the record calls it.
  Action action() const { return is_refusal(status) ? Action::deny : Action::close; }
};

// Names what a scan has found. No field contains a value.
struct Found {
  std::string secret = {};                  // the name of a known secret, or
  std::string rule = {}, fingerprint = {};  // of a credential
};

// Says why a request is refused. The status and the code go to the client; the rest goes into the record.
struct Refused {
  int status = 403;
  std::string_view code;
  std::string reason;
  Found found = {};
  std::optional<policy::Lacks> lacks = {};  // for a refusal by the rules
};

}  // namespace bottle::guard
