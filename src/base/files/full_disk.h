// Tells a full disk from other limits.
#pragma once

#include <cerrno>
#include <system_error>

#include "base/error.h"

namespace bottle {

// Returns whether the cause of the error is a full disk or quota. If so, the same call works once the operator has
// freed space. Such an error has Code::limit and ends with the system's words, as those of fail_errno() do.
inline bool is_full_disk(const Error& error) {
  return error.code == Code::limit && (error.what.ends_with(std::generic_category().message(ENOSPC)) ||
                                       error.what.ends_with(std::generic_category().message(EDQUOT)));
}

// Fails as the call did if the cause was a full disk. Callers use it if they need no result after other errors.
template <typename T>
Result<> check_room(const Result<T>& done) {
  if (!done && is_full_disk(done.error())) return std::unexpected(done.error());
  return {};
}

}  // namespace bottle
