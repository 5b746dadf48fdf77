// What a guard and its owner say to each other, one message a line (ARCHITECTURE.md, "The guard's control channel"),
// and what of that the two sides of a session on another machine pass on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "wire/codec/codec.h"
#include "wire/guard/config.h"
#include "wire/guard/decision.h"

namespace bottle::wire {

// Bytes of a stream that are under way in one direction: neither side sends more before the other has taken some.
inline constexpr size_t kStreamWindow = 128 * 1024;

// -- to the guard

struct Configure {
  static constexpr const char* kType = "configure";
  GuardConfig config;
};
// The session root's answer to the request in Ready.
struct Certificate {
  static constexpr const char* kType = "certificate";
  std::string pem;
};
struct AgentAnswer {
  static constexpr const char* kType = "ssh-agent";
  uint32_t connection = 0;
  std::optional<std::string> answer;  // base64; nothing: close the connection
};
// Whether the near side can be reached; without it, what goes through it ends.
struct NearSideUp {
  static constexpr const char* kType = "relay";
  bool up = false;
};
struct Shutdown {
  static constexpr const char* kType = "shutdown";
};

// -- both ways

// A connection that is carried over the control channel. Each message says one thing.
struct StreamPart {
  static constexpr const char* kType = "stream";
  uint32_t stream = 0;
  std::optional<bool> open = {};              // the guard only: a new stream
  std::optional<std::string> data = {};       // base64
  std::optional<uint64_t> taken = {};         // bytes that were taken since this was said last
  std::optional<bool> end = {}, closed = {};  // end: nothing more will come; closed: the stream is forgotten
};

// -- from the guard

struct Ready {
  static constexpr const char* kType = "ready";
  std::string listen, csr;  // listen: "10.0.0.2:3128 …"; csr: PEM
};
struct AgentRequest {
  static constexpr const char* kType = "ssh-agent";
  uint32_t connection = 0;
  std::optional<std::string> request;  // base64; nothing: the connection is closed
};
struct GuardComplaint {
  static constexpr const char* kType = "error";
  std::string what;
};

using ToGuard = std::variant<Configure, Certificate, AgentAnswer, NearSideUp, StreamPart, Shutdown>;
using FromGuard = std::variant<Ready, Decision, AgentRequest, StreamPart, Usage, LimitHit, GuardComplaint>;
template <>
inline constexpr Kind kKind<ToGuard> = {"control message", 16 << 20};
template <>
inline constexpr Kind kKind<FromGuard> = {"guard's message", 1 << 20};
void fields(Object& o, ToGuard& message);
void fields(Object& o, FromGuard& message);

// -- between the sides of a session on another machine

// The near side has come, and answers from here on; what was under way is over.
struct NearSideHere {
  static constexpr const char* kType = "relay";
  std::string root;  // PEM of what certifies its broker; empty: it has none
};
// The far guard may be another one than before; what was under way is over.
struct FarGuardHere {
  static constexpr const char* kType = "relay";
};

using ToFarGuard = std::variant<NearSideHere, AgentAnswer, StreamPart>;
using ToNearSide = std::variant<FarGuardHere, AgentRequest, StreamPart>;
template <>
inline constexpr Kind kKind<ToFarGuard> = {"message to the far guard", 1 << 20};
template <>
inline constexpr Kind kKind<ToNearSide> = {"message of the far guard", 1 << 20};
void fields(Object& o, ToFarGuard& message);
void fields(Object& o, ToNearSide& message);

}  // namespace bottle::wire
