// The counters of a running session in the text format of Prometheus.
#pragma once

#include <string>

#include "base/error.h"
#include "wire/metrics.h"

namespace bottle::app {

// Returns the counters as text (exposition format 0.0.4), each with the name of the session as a label.
std::string exposition(const std::string& session, const wire::Metrics& metrics);

// Asks the session's supervisor (at most 20 s) and prints its answer. An empty name means the only session.
Result<> print_metrics(const std::string& session);

}  // namespace bottle::app
