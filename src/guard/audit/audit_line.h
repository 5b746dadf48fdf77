// Defines one decision, as the record shows it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "policy/rules.h"
#include "wire/guard/decision.h"

namespace bottle::guard {

using Action = wire::DecisionAction;
using Kind = wire::DecisionKind;

// Describes a decision to Audit::write(). The texts are borrowed for the call. `id` is the guard's own. Other texts may
// come from the agent and contain any byte; the writer must take secrets out first (Connection::audit).
struct AuditLine {
  std::string_view id;
  Action action;
  Kind kind;
  std::string_view host;
  uint16_t port = 0;
  std::string_view method, path, code, reason;
  std::optional<policy::Lacks> lacks = {};       // for a refusal by the rules
  std::string_view secret = {};                  // the name of a known secret that was found
  std::string_view rule = {}, fingerprint = {};  // of a credential that was found
  bool totals = false;                           // whether the byte counts are meaningful
  uint64_t bytes_out = 0, bytes_in = 0;
  uint64_t count = 1;            // the number of decisions that this line stands for
  std::string_view first, time;  // for several decisions, the times of the first and the last; empty means now

  // Returns whether the line lets something through, or is about something that was let through. Such a line never
  // stands for several decisions.
  bool of_traffic() const { return action == Action::allow || totals || code == "usage"; }
};

}  // namespace bottle::guard
