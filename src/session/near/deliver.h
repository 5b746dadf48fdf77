// The workspace and the skills to a session on another machine, over the connection for bulk.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "base/error.h"
#include "session/job.h"
#include "session/near/far_side.h"

namespace bottle::session {

struct Delivered {
  std::string base;  // the commit that the work begins from; as in workspace::Summary
  std::vector<std::string> warnings;
  Result<> taken{};  // an error where only the word of it was lost, too: it may be there, and `base` holds
};

// Blocking until the session there has taken all of it, or `stop` ends it.
Delivered deliver(const Job& job, FarSide side, std::stop_token stop);

}  // namespace bottle::session
