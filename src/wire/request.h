// What a client asks of a session's supervisor, besides keystrokes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "manifest/manifest.h"
#include "wire/codec/codec.h"

namespace bottle::wire {

// Which of the agent's output the client wants to see.
struct Attach {
  static constexpr const char* kName = "attach request";
  static constexpr size_t kMost = 1000;
  std::string session;           // empty: the one whose socket this is
  std::optional<uint64_t> from;  // a position, in bytes since the agent began; without it, the last screen
};
void fields(Object& o, Attach& attach);

struct Resize {
  static constexpr const char* kName = "resize request";
  static constexpr size_t kMost = 1000;
  uint16_t rows = 24, columns = 80;
};
void fields(Object& o, Resize& resize);

// New rules for the connections to come; answered by the event PolicyChanged. One of the two is there.
struct PolicyChange {
  static constexpr const char* kName = "policy request";
  static constexpr size_t kMost = 256 << 10;
  std::string id;                            // the answer has it too
  std::optional<manifest::AllowRule> allow;  // a rule to add; a denial of the same pattern is taken back
  std::optional<std::string> deny;           // a host or pattern that is forbidden from now on
};
void fields(Object& o, PolicyChange& change);

}  // namespace bottle::wire
