// Defines the version of the protocol with which a remote session begins: hello and job. Both ends are then the same
// build, because the program is sent under the hash of its content. A different version is therefore an error, and both
// ends refuse it. Increase the version when a message changes its meaning. After an upgrade of bottle, a near side may
// continue a session whose far side is an earlier build, so fields and messages are only added.
#pragma once

namespace bottle::wire {
inline constexpr unsigned kVersion = 2;
}  // namespace bottle::wire
