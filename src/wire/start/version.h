// Defines the version of the protocol between the two ends of a remote session: hello, job, and the messages after
// them. Both ends are the same build, because the program is sent under the hash of its content. A different version
// is therefore an error, and both ends refuse it. Increase the version when a message changes its meaning.
#pragma once

namespace bottle::wire {
inline constexpr unsigned kVersion = 2;
}  // namespace bottle::wire
