// Defines a finding about a machine or a manifest, in a form that programs can read as well.
#pragma once

#include <string>
#include <utility>
#include <vector>

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

// Collects findings in the order in which they are made.
class Findings {
 public:
  void ok(std::string code, std::string what) { all_.push_back({std::move(code), Severity::ok, std::move(what), ""}); }
  void warn(std::string code, std::string what, std::string todo) {
    all_.push_back({std::move(code), Severity::warn, std::move(what), std::move(todo)});
  }
  void fail(std::string code, std::string what, std::string todo) {
    all_.push_back({std::move(code), Severity::fail, std::move(what), std::move(todo)});
  }

  // Returns the findings. Call it once, at the end.
  std::vector<Finding> take() { return std::move(all_); }

 private:
  std::vector<Finding> all_;
};

}  // namespace bottle
