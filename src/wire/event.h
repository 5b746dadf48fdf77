// What a supervisor tells its clients while a session runs. docs/events.md describes each event; with --json they are
// printed as they are.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "wire/codec/codec.h"
#include "wire/gate.h"
#include "wire/hello.h"
#include "wire/result.h"

namespace bottle::wire {

// A session whose supervisor died has been removed, and its work brought home.
struct Swept {
  static constexpr const char* kType = "swept";
  Receipt receipt;
  std::optional<Back> back;
};
struct Step {
  static constexpr const char* kType = "step";
  std::string step;
};
// The session's VM is there, and its sshd has a key of its own.
struct VmMade {
  static constexpr const char* kType = "vm";
  std::string name, target;                  // target: user@host
  double created = 0, ssh = 0, rotated = 0;  // seconds since it was asked for
};
// The VM's container engine answers.
struct EngineAnswers {
  static constexpr const char* kType = "engine";
  double at = 0;  // since when: seconds since 1970 by the VM's clock; 0: it did not say
};
// Another machine says what it is: the launcher judges it, and prints nothing. Nothing: its answer is not a hello.
struct HelloCame {
  static constexpr const char* kType = "hello";
  std::optional<Hello> hello;
};
struct AgentRuns {
  static constexpr const char* kType = "running";
  std::string session;
  std::optional<std::vector<Probe>> probes;  // nothing: the message that had them was lost with its connection
};
// Of the agent; only where a command prints its events.
struct ErrorOutput {
  static constexpr const char* kType = "stderr";
  std::string text;
};
// A host was refused for the first time.
struct Denied {
  static constexpr const char* kType = "denied";
  std::string host, code, reason;
  std::optional<std::string> allow;  // the rule that would allow it, or empty; nothing: not for this side to say
};
// The agent sent a secret's placeholder or value to its model for the first time.
struct SecretToModel {
  static constexpr const char* kType = "secret";
  std::string secret, host, code, what;  // secret: its name
};
// An operator changed the rules, or could not.
struct PolicyChanged {
  static constexpr const char* kType = "policy";
  std::string id;  // of the request
  bool ok = false;
  std::string what;
};
struct GuardLost {
  static constexpr const char* kType = "guard-lost";
  std::string what;
};
struct GuardBack {
  static constexpr const char* kType = "guard-back";
};
struct GuardError {
  static constexpr const char* kType = "guard-error";
  std::string what;
};
// The guard refuses everything, since its decisions cannot be recorded.
struct RecordFull {
  static constexpr const char* kType = "record-full";
  std::string what;
};
struct RecordBack {
  static constexpr const char* kType = "record-back";
};
struct Warning {
  static constexpr const char* kType = "warning";
  std::string what;
};
// Work so far is safe on the operator's machine.
struct CheckpointDone {
  static constexpr const char* kType = "checkpoint";
};
struct LinkLost {
  static constexpr const char* kType = "link-lost";
  std::string what;
};
struct LinkTrying {
  static constexpr const char* kType = "link-trying";
  std::string what;
};
struct LinkBack {
  static constexpr const char* kType = "link-back";
};
// The answer to an attach request; the output follows.
struct Attached {
  static constexpr const char* kType = "attached";
  uint64_t from = 0;    // where it begins: bytes since the agent began
  uint64_t missed = 0;  // bytes before that which were asked for and are not kept any more
};
struct OutputMissed {
  static constexpr const char* kType = "missed";
  uint64_t bytes = 0;
};
struct TypingEnded {
  static constexpr const char* kType = "typing-ended";
};
struct Collecting {
  static constexpr const char* kType = "collecting";
};
struct DestroyingVm {
  static constexpr const char* kType = "destroying";
  std::string vm;
};

using Event =
    std::variant<Step, Swept, VmMade, EngineAnswers, HelloCame, AgentRuns, ErrorOutput, Denied, SecretToModel,
                 PolicyChanged, GuardLost, GuardBack, GuardError, RecordFull, RecordBack, Warning, CheckpointDone,
                 LinkLost, LinkTrying, LinkBack, Attached, OutputMissed, TypingEnded, Collecting, DestroyingVm>;
template <>
inline constexpr Kind kKind<Event> = {"event", 2 << 20};

void fields(Object& o, Event& event);

// Of every alternative.
std::vector<std::string_view> event_names();

}  // namespace bottle::wire
