// Defines the requests that a client sends to a session's supervisor, besides keystrokes.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "manifest/manifest.h"
#include "wire/codec/codec.h"
#include "wire/guard/usage.h"

namespace bottle::wire {

// Says which part of the agent's output the client wants to see.
struct Attach {
  static constexpr const char* kName = "attach request";
  static constexpr size_t kMost = 1000;
  std::string session;                // empty means the session that owns this socket
  std::optional<uint64_t> from = {};  // a position in bytes since the agent started; if absent, the last screen is sent
  std::string id = {};                // Job::id of that session; the supervisor ignores it
  // EngineHello::id of the engine on which the agent may run. If the machine has no record of the session, only that
  // engine can confirm that nothing is left of it. Empty if the near side does not know the id, and absent if the agent
  // cannot have run. Only `bottle far` reads this, and no supervisor gets it.
  std::optional<std::string> engine_id = {};
};
void fields(Object& o, Attach& attach);

// Tells the size of the client's terminal. Sent when it attaches and when the size changes.
struct Resize {
  static constexpr const char* kName = "resize request";
  static constexpr size_t kMost = 1000;
  uint16_t rows = 24, columns = 80;
};
void fields(Object& o, Resize& resize);

// Sets limits of the session, or of a host's rules. A quantity without a value keeps its limit.
struct LimitChange {
  std::string host;                                                   // of a rule; empty for the session
  std::array<std::optional<uint64_t>, kQuantities.size()> most = {};  // as in GuardLimit, so 0 removes a limit
  std::optional<uint64_t>& of(Quantity quantity) { return most[static_cast<size_t>(quantity)]; }
  std::optional<uint64_t> of(Quantity quantity) const { return most[static_cast<size_t>(quantity)]; }
};
void fields(Object& o, LimitChange& change);

// Changes the rules for new connections. The event PolicyChanged answers it.
struct PolicyChange {
  static constexpr const char* kName = "policy request";
  static constexpr size_t kMost = 256 << 10;
  // Adds the rule, and revokes a denial of the same pattern.
  struct Allow {
    manifest::AllowRule rule;
  };
  // Forbids the host, or the hosts of the pattern, from now on.
  struct Deny {
    std::string host;
  };
  // Lets the credential with this fingerprint leave from now on.
  struct AllowSecret {
    std::string fingerprint;
  };
  std::string id;  // repeated in the answer
  std::variant<Allow, Deny, AllowSecret, LimitChange> what;
};
// Refuses a request that does not have exactly one change.
void fields(Object& o, PolicyChange& change);

}  // namespace bottle::wire
