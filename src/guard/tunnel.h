// Moves bytes both ways between two plain sockets, blindly, until both have ended or nothing moved for the idle limit.
#pragma once

#include <functional>

#include "guard/core/context.h"
#include "guard/core/stream.h"
#include "guard/core/task.h"

namespace bottle::guard {

// Whether a tunnel may go on under new rules.
using MayGoOn = std::function<bool(const Config&)>;

// What is already in `in` and `out` of either stream goes first. Keeps half-closed directions open. Counts in the
// streams' `received`. The result is the reason it ended, empty for an orderly end.
Task<std::string_view> tunnel(Context& context, Waker& waker, Stream& client, Stream& upstream, int64_t idle_ms,
                              MayGoOn may_go_on);

}  // namespace bottle::guard
