// Finds the records of decisions that a command names, and how each must end.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "wire/result.h"

namespace bottle::app {

// Names a record and says how it must end. `seal` is from the session's result. Without a seal, it is not known how the
// record ended. `may_be_open` says that its session is still running.
struct Record {
  std::string path;
  std::optional<wire::AuditSeal> seal;
  bool may_be_open = false;
};

// Returns the records that `what` names: those of a session, or the one at a path (is_record_path()). A session has at
// least one. A record that the session's result names is among them even if its file is missing. Fails if there is a
// result that cannot be read, because an attacker who can cut a record could also damage the result.
Result<std::vector<Record>> records_of(const std::string& what);

}  // namespace bottle::app
