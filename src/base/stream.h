// Connects a function that writes a stream to one that reads it, with a bounded buffer and a thread.
#pragma once

#include <functional>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/progress.h"

namespace bottle {

using Sink = std::function<Result<>(std::string_view)>;
using Source = std::function<Result<size_t>(char*, size_t)>;  // returns 0 at the end

// Runs `produce` on its own thread. It may run 8 MB ahead, so that it can work while the consumer still waits for
// something else. If both fail, the producer's error is returned, because the consumer's follows from it, unless the
// producer only noticed that the consumer had left (Code::closed). Once `stop` is requested, both fail to use the
// stream. Blocks until both have returned.
Result<> pipe_through(const std::function<Result<>(const Sink&)>& produce,
                      const std::function<Result<>(const Source&)>& consume, const std::stop_token& stop = {});

// Returns a source that reads `text`, which must outlive it.
Source source_of(std::string_view text);

// Returns a sink that appends to `text`, which must outlive it.
Sink sink_to(std::string& text);

// Returns `source` with reports: it calls `progress` every two seconds with a text such as "the workspace: 12 MB".
Source with_progress(const Source& source, const std::string& what, const Progress& progress);

}  // namespace bottle
