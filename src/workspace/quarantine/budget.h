// Counts what one archive may still use.
#pragma once

#include <cstdint>

#include "base/error.h"

namespace bottle::workspace {

constexpr const char* kTooLarge = "not brought home, because it is larger than what bottle sorts";

// Holds what all quarantines of one archive together may still use.
struct Budget {
  // Bytes for the contents of files in the trees and in the git directories. What does not fit is left behind, and the
  // rest still comes home. The git directories have their own bytes, so that no file of a tree keeps out a commit.
  uint64_t tree, git;
  uint64_t entries;  // bytes for the names and the inodes of all entries
  uint64_t held;     // bytes of memory

  Result<> charge_entry(uint64_t more) {
    if (more > entries)
      return fail(Code::limit, "the workspace that came back has more or longer names than the limit");
    entries -= more;
    return {};
  }
  Result<> hold(uint64_t more) {
    if (more > held) return fail(Code::limit, "more links come back than the limit");
    held -= more;
    return {};
  }
};

}  // namespace bottle::workspace
