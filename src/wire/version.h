// The version of what the two ends of a session on another machine say to each other: hello, job, and what follows.
// Both ends are the same build (the program is sent under its content's hash), so that a difference is a mistake, which
// both refuse. Count it up when a message changes its meaning.
#pragma once

namespace bottle::wire {
inline constexpr unsigned kVersion = 1;
}  // namespace bottle::wire
