// Counts what one archive may still use.
#pragma once

#include <cstdint>

#include "base/error.h"

namespace bottle::workspace {

// Holds what all quarantines of one archive together may still use.
struct Budget {
  uint64_t bytes, held;

  Result<> charge(uint64_t more) {
    if (more > bytes) return fail(Code::limit, "the workspace that came back is larger than the limit");
    bytes -= more;
    return {};
  }
  Result<> hold(uint64_t more) {
    if (more > held) return fail(Code::limit, "more links come back than the limit");
    held -= more;
    return {};
  }
};

}  // namespace bottle::workspace
