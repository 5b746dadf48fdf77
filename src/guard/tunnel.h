// Moves bytes in both directions between two plain sockets without looking at them, until both have ended or no byte
// has moved for the idle time.
#pragma once

#include <functional>

#include "guard/core/context.h"
#include "guard/net/stream.h"
#include "guard/net/task.h"

namespace bottle::guard {

// Decides whether a tunnel may continue under new rules.
using MayGoOn = std::function<bool(const Config&)>;

// The reason if a tunnel ended because its host or session may send nothing more.
inline constexpr std::string_view kNoBytesLeft = "the limit of bytes up is reached";

// The kernel may hold at most this much for all tunnels. Beyond it, the tunnel that holds the most ends, for this
// reason.
inline constexpr size_t kMostInKernel = 192 << 20;
inline constexpr std::string_view kTooMuchUnread =
    "the programs and servers leave too much unread in their tunnels, and this tunnel held the most";

// Sends what is already in `in` and `out` of either stream first. Keeps half-closed directions open. Counts bytes in
// the streams' `received`, and those that go up in `account`. Returns the reason why the tunnel ended, or an empty
// string for an orderly end.
Task<std::string_view> tunnel(Context& context, Waker& waker, Stream& client, Stream& upstream,
                              Budget::Account& account, int64_t idle_ms, MayGoOn may_go_on);

}  // namespace bottle::guard
