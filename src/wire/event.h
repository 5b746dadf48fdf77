// Defines the events that a supervisor sends to its clients while a session runs. docs/events.md describes each
// event; with --json they are printed unchanged.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "wire/codec/codec.h"
#include "wire/gate/gate.h"
#include "wire/result.h"
#include "wire/start/hello.h"

namespace bottle::wire {

// A session whose supervisor died was removed, and its work was brought home.
struct Swept {
  static constexpr const char* kType = "swept";
  Receipt receipt;
  std::optional<WorkResult> back;
};
// A step of the start or of the end begins. The text is for people.
struct Step {
  static constexpr const char* kType = "step";
  std::string step;
};
// The session's VM exists, and its sshd uses a host key that was made on it.
struct VmMade {
  static constexpr const char* kType = "vm";
  std::string name, target;                  // the target is user@host
  double created = 0, ssh = 0, rotated = 0;  // seconds since the request for the VM
};
// The VM's container engine answers.
struct EngineAnswers {
  static constexpr const char* kType = "engine";
  double at = 0;  // when it first answered: seconds since 1970 by the VM's clock; 0 if unknown
};
// A remote machine has sent its hello. The launcher judges it and prints nothing. `hello` is absent if the answer was
// not a hello.
struct HelloCame {
  static constexpr const char* kType = "hello";
  std::optional<Hello> hello;
};
// The self-test was clean, and the agent runs.
struct AgentRuns {
  static constexpr const char* kType = "running";
  std::string session;
  std::optional<std::vector<Probe>> probes;  // absent if the message with the probes was lost with its connection
};
// The agent wrote to its standard error. Sent only if a command prints its events.
struct ErrorOutput {
  static constexpr const char* kType = "stderr";
  std::string text;
};
// The guard refused a host for the first time.
struct Denied {
  static constexpr const char* kType = "denied";
  std::string host, code, reason;
  std::optional<std::string> allow;  // the rule that would allow it; empty if no rule would, absent if this side cannot
                                     // say
};
// The agent sent the placeholder or the value of a secret to its model for the first time.
struct SecretToModel {
  static constexpr const char* kType = "secret";
  std::string secret, host, code, what;  // `secret` is the name of the secret
};
// The guard refused something because of a limit, for the first time since the limit changed.
struct LimitReached {
  static constexpr const char* kType = "limit";
  std::string session;
  std::string host;   // the host of the rule; empty for the session
  std::string limit;  // requests | bytes_up | names | tokens | cost
  double most = 0;
};
// An operator changed the rules, or the change failed.
struct PolicyChanged {
  static constexpr const char* kType = "policy";
  std::string id;  // of the request
  bool ok = false;
  std::string what;
};
// The guard died, or an attempt to restart it failed. The agent has no network until GuardBack.
struct GuardLost {
  static constexpr const char* kType = "guard-lost";
  std::string what;
};
// The guard runs again, with the same rules.
struct GuardBack {
  static constexpr const char* kType = "guard-back";
};
// The guard reports a problem in words. It continues.
struct GuardError {
  static constexpr const char* kType = "guard-error";
  std::string what;
};
// The guard refuses everything, because it cannot record its decisions.
struct RecordFull {
  static constexpr const char* kType = "record-full";
  std::string what;
};
// Decisions can be recorded again, and the guard lets traffic through.
struct RecordBack {
  static constexpr const char* kType = "record-back";
};
// Tells the operator something that has no other effect.
struct Warning {
  static constexpr const char* kType = "warning";
  std::string what;
};
// The work so far is safe on the operator's machine.
struct CheckpointDone {
  static constexpr const char* kType = "checkpoint";
};
// The connection to the remote machine broke, or the work could not be fetched from it yet. The near side tries again.
struct LinkLost {
  static constexpr const char* kType = "link-lost";
  std::string what;
};
// An attempt to reconnect failed. Sent for the first attempt and for each twentieth.
struct LinkTrying {
  static constexpr const char* kType = "link-trying";
  std::string what;
};
// The connection to the remote machine is back.
struct LinkBack {
  static constexpr const char* kType = "link-back";
};
// Answers an attach request. The output follows.
struct Attached {
  static constexpr const char* kType = "attached";
  uint64_t from = 0;    // position where the output begins, in bytes since the agent started
  uint64_t missed = 0;  // bytes before that position which the client asked for and which are no longer kept
};
// Some output of the agent is missing at this place, because this client read too slowly or was not connected.
struct OutputMissed {
  static constexpr const char* kType = "missed";
  uint64_t bytes = 0;
};
// mosh has ended, and the terminal continues over ssh. The launcher makes this event itself.
struct TypingEnded {
  static constexpr const char* kType = "typing-ended";
};
// The agent has ended, and its work is being fetched.
struct Collecting {
  static constexpr const char* kType = "collecting";
};
// The work is home, and the session's VM is being destroyed.
struct DestroyingVm {
  static constexpr const char* kType = "destroying";
  std::string vm;
};

using Event = std::variant<Step, Swept, VmMade, EngineAnswers, HelloCame, AgentRuns, ErrorOutput, Denied, SecretToModel,
                           LimitReached, PolicyChanged, GuardLost, GuardBack, GuardError, RecordFull, RecordBack,
                           Warning, CheckpointDone, LinkLost, LinkTrying, LinkBack, Attached, OutputMissed, TypingEnded,
                           Collecting, DestroyingVm>;
template <>
inline constexpr Kind kKind<Event> = {"event", 2 << 20};

// Names the fields of an event: first "event", which has the event's name, and then the fields of its type.
void fields(Object& o, Event& event);

// Returns the names of all events.
std::vector<std::string_view> event_names();

}  // namespace bottle::wire
