// Defines one decision, as the record shows it.
#pragma once

#include <cstdint>
#include <string_view>

namespace bottle::guard {

// Says what the guard did. `close` is for the end of something, or for a failure that no rule caused.
enum class Action : uint8_t { deny, allow, close };
// Says what a decision is about.
enum class Kind : uint8_t { connect, http, dns, tls, ssh, ssh_agent };

// Returns the word of the record, which needs no escape in JSON.
constexpr std::string_view word(Action action) {
  constexpr std::string_view kWords[] = {"deny", "allow", "close"};
  return kWords[static_cast<size_t>(action)];
}
constexpr std::string_view word(Kind kind) {
  constexpr std::string_view kWords[] = {"connect", "http", "dns", "tls", "ssh", "ssh-agent"};
  return kWords[static_cast<size_t>(kind)];
}

// Describes a decision to Audit::write(). The texts are borrowed for the call. `id` is the guard's own. Other texts may
// come from the agent and contain any byte; the writer must take secrets out first (Connection::audit).
struct AuditLine {
  std::string_view id;
  Action action;
  Kind kind;
  std::string_view host;
  int port = 0;
  std::string_view method, path, code, reason;
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
