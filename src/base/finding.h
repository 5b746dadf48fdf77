// Defines a finding about a machine or a manifest, in a form that programs can read as well.
#pragma once

#include <string>

namespace bottle {

// `ok` states a fact, `warn` something that works worse than it could, and `fail` something that keeps a session from
// starting.
enum class Severity { ok, warn, fail };

// `what` says what was found, and `todo` what the operator can do about it; it is empty if there is nothing to do.
struct Finding {
  std::string code;  // stable: engine, runtime, memory, …
  Severity severity = Severity::ok;
  std::string what, todo;
};

}  // namespace bottle
