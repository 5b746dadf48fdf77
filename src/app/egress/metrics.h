// Prints the counters of a running session in the text format of Prometheus.
#pragma once

#include <string>

#include "base/error.h"
#include "wire/metrics.h"

namespace bottle::app {

// Returns the counters as text (exposition format 0.0.4), each with the name of the session as a label.
std::string exposition(const std::string& session, const wire::Metrics& metrics);

// Asks the session's supervisor for the counters and prints them. Blocks for at most 20 s. An empty name stands for the
// only running session.
Result<> print_metrics(const std::string& session);

}  // namespace bottle::app
