// Defines the messages between a guard and its owner, one per line (ARCHITECTURE.md, "The guard's control channel"),
// and those of them that the two sides of a remote session exchange.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "wire/codec/codec.h"
#include "wire/guard/config.h"
#include "wire/guard/decision.h"

namespace bottle::wire {

// The most bytes of a stream that may be in flight in one direction. A side sends more only after the other has taken
// some.
inline constexpr size_t kStreamWindow = 128 * 1024;

// -- to the guard

// Replaces the guard's configuration, at any time. The new rules hold from the next request on.
struct Configure {
  static constexpr const char* kType = "configure";
  GuardConfig config;
};
// Answers the certificate request in Ready.
struct Certificate {
  static constexpr const char* kType = "certificate";
  std::string pem;
};
// Carries the ssh-agent's answer to an AgentRequest, after the supervisor's filter. It has the same connection
// number.
struct AgentAnswer {
  static constexpr const char* kType = "ssh-agent";
  uint32_t connection = 0;
  std::optional<std::string> answer;  // bytes; if absent, the guard closes the connection
};
// Says whether the near side can be reached. If not, everything that goes through it ends.
struct NearSideUp {
  static constexpr const char* kType = "relay";
  bool up = false;
};
// Ends the guard.
struct Shutdown {
  static constexpr const char* kType = "shutdown";
};

// -- in both directions

// Carries a part of a connection that goes over the control channel.
struct StreamPart {
  static constexpr const char* kType = "stream";
  // Opens a new stream. Only the guard sends it.
  struct Open {
    static constexpr const char* kKey = "open";
  };
  struct Data {
    static constexpr const char* kKey = "data";
    std::string bytes;
  };
  // Says how many bytes were taken since the last such message.
  struct Taken {
    static constexpr const char* kKey = "taken";
    uint64_t bytes = 0;
  };
  // No more data follows.
  struct End {
    static constexpr const char* kKey = "end";
  };
  // The stream is gone.
  struct Closed {
    static constexpr const char* kKey = "closed";
  };
  uint32_t stream = 0;
  std::variant<Open, Data, Taken, End, Closed> what;
};

// -- from the guard

// The guard serves with its latest configuration. The first one asks for a certificate.
struct Ready {
  static constexpr const char* kType = "ready";
  std::string listen, csr;  // `listen` is "10.0.0.2:3128 …"; `csr` is PEM
};
// Carries a message for the session's ssh-agent. The guard numbers the connections; a new number opens one.
struct AgentRequest {
  static constexpr const char* kType = "ssh-agent";
  uint32_t connection = 0;
  std::optional<std::string> request;  // bytes; if absent, the connection is closed
};
// Reports that a tunnel to a host of ssh has seen the server's key exchange, or that it has ended. The guard sends it
// before the client gets the end of the key exchange, so before any AgentRequest of that ssh session.
struct SshTunnel {
  static constexpr const char* kType = "ssh-tunnel";
  uint32_t tunnel = 0;  // the guard's number for it
  // 64 hexadecimal digits: the SHA-256 of the server's host key and of its signature in the first key exchange, each as
  // a string of RFC 4251. If absent, the tunnel has ended.
  std::optional<std::string> exchange;
};
// Reports a problem in words, such as a configuration that the guard refuses.
struct GuardComplaint {
  static constexpr const char* kType = "error";
  std::string what;
};

using ToGuard = std::variant<Configure, Certificate, AgentAnswer, NearSideUp, StreamPart, Shutdown>;
using FromGuard = std::variant<Ready, Decision, AgentRequest, StreamPart, Usage, LimitHit, GuardComplaint, SshTunnel>;
template <>
inline constexpr Kind kKind<ToGuard> = {"control message", 16 << 20};
template <>
inline constexpr Kind kKind<FromGuard> = {"guard's message", 1 << 20};
// The word under "type" says which message it is.
void fields(Object& o, ToGuard& message);
void fields(Object& o, FromGuard& message);

// -- between the two sides of a remote session

// A near side has connected and answers from now on. Streams and requests from before have ended.
struct NearSideHere {
  static constexpr const char* kType = "relay";
  std::string root;  // PEM of the certificate that certifies its broker; empty if it has no broker
};
// The far guard may have been replaced. Streams and requests from before have ended.
struct FarGuardHere {
  static constexpr const char* kType = "relay";
};

// From now on, the far guard's tunnels to hosts of ssh are reported, and those that are open already follow. A far side
// of an earlier version does not send it. Follows FarGuardHere.
struct SshTunnelsFollow {
  static constexpr const char* kType = "ssh-tunnels";
};

using ToFarGuard = std::variant<NearSideHere, AgentAnswer, StreamPart>;
using ToNearSide = std::variant<FarGuardHere, AgentRequest, StreamPart, SshTunnelsFollow, SshTunnel>;
template <>
inline constexpr Kind kKind<ToFarGuard> = {"message to the far guard", 1 << 20};
template <>
inline constexpr Kind kKind<ToNearSide> = {"message of the far guard", 1 << 20};
// The word under "type" says which message it is.
void fields(Object& o, ToFarGuard& message);
void fields(Object& o, ToNearSide& message);

}  // namespace bottle::wire
