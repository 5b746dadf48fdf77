// What speaks for or against a machine or a manifest: typed, so that a program can read it too.
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
