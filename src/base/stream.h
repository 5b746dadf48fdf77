// Joins a function that writes a stream to one that reads it, by a bounded buffer and a thread.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace bottle::session {

using Sink = std::function<Result<>(std::string_view)>;
using Source = std::function<Result<size_t>(char*, size_t)>;  // 0: the end

// Runs `produce` on a thread of its own; it may be 8 MB ahead, so that it works while the consumer still waits for its
// other end. The producer's error wins, since the consumer's is its consequence, unless the producer only saw the
// consumer go (`closed`).
Result<> pipe_through(const std::function<Result<>(const Sink&)>& produce,
                      const std::function<Result<>(const Source&)>& consume);

// The same bytes; whoever waits for them hears every two seconds how many have passed: "the workspace: 12 MB".
Source told(const Source& source, const std::string& what, const std::function<void(const std::string&)>& tell);

}  // namespace bottle::session
