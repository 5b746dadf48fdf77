// The version of the protocol between the two ends of a remote session: hello, job, and the messages after them. Both
// ends are the same build (the program is sent under the hash of its content), so a different version is an error that
// both ends refuse. Increase it when a message changes its meaning.
#pragma once

namespace bottle::wire {
inline constexpr unsigned kVersion = 1;
}  // namespace bottle::wire
