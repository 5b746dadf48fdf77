// The workspace and the skills to a session on another machine, over the connection for bulk.
#pragma once

#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/error.h"
#include "remote/link/far_side.h"
#include "wire/job.h"

namespace bottle::remote {

using session::Job;

struct Delivered {
  std::string base;  // the commit that the work begins from; as in workspace::Summary
  std::vector<std::string> warnings;
  Result<> taken{};  // an error where only the word of it was lost, too: it may be there, and `base` holds
};

// Blocking until the session there has taken all of it, or `stop` ends it. `begins_from`: told of the base before the
// last of it goes there, and so before the agent can run.
Delivered deliver(const Job& job, FarSide side, const std::function<void(const std::string& base)>& begins_from,
                  std::stop_token stop);

}  // namespace bottle::remote
