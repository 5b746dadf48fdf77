// What speaks for and against a machine or a manifest: typed, so that a program can read it too.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace bottle::app {

enum class Severity { ok, warn, fail };

struct Finding {
  std::string code;  // stable: engine, runtime, memory, …
  Severity severity = Severity::ok;
  std::string what, todo;
};

nlohmann::json to_json(const Finding& finding);

// Prints the findings for people, or as {"ok":…,"findings":[…]}. The exit status: 1 if one is a fail, else 0.
int tell(const std::vector<Finding>& findings, bool json);

}  // namespace bottle::app
