// A finding about a machine or a manifest, in a form that programs can read too.
#pragma once

#include <string>

namespace bottle::session {

enum class Severity { ok, warn, fail };

struct Finding {
  std::string code;  // stable: engine, runtime, memory, …
  Severity severity = Severity::ok;
  std::string what, todo;
};

}  // namespace bottle::session
