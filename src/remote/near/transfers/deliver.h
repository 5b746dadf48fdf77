// Sends the workspace and the skills to a session on another machine, over the connection for bulk data.
#pragma once

#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/error.h"
#include "remote/link/far_side.h"
#include "transfer/delta.h"
#include "wire/start/job.h"

namespace bottle::remote {

using wire::Job;

// Holds the outcome of a delivery.
struct Delivered {
  std::string base;  // the commit that the work begins from, as in workspace::Summary
  std::vector<std::string> warnings;
  Result<> taken{};  // also an error if only the answer was lost; the workspace may have arrived, and `base` is valid
};

// Sends the workspace. Blocks until the session has taken all of it, or `stop` ends it. `begins_from` gets the base
// before the last part is sent, and so before the agent can run. The machine keeps nothing of a delivery with more than
// `most_kept` bytes.
Delivered deliver(const Job& job, FarSide side, const std::function<Result<>(const std::string& base)>& begins_from,
                  const std::stop_token& stop, uint64_t most_kept = transfer::kMostKept);

}  // namespace bottle::remote
