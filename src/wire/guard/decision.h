// Defines a decision of a guard, or of the filter for the operator's ssh-agent. It is one line of egress.jsonl and of
// the audit that a guard writes. The agent chose most of its text.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/rules.h"
#include "wire/codec/codec.h"

namespace bottle::wire {

// Says what was done.
enum class DecisionAction : uint8_t {
  deny,
  allow,
  close,       // the end of something, or a failure that no rule caused
  dropped,     // stands for lines that are missing
  unreadable,  // stands for a line that is not a decision
  end,         // the last line of a record
};
// Says what a decision is about.
enum class DecisionKind : uint8_t { none, connect, http, dns, tls, ssh, ssh_agent };

// These are their words, in the order of the enumerators. None needs an escape in JSON.
inline constexpr std::array kDecisionActions = {"deny", "allow", "close", "dropped", "unreadable", "end"};
inline constexpr std::array kDecisionKinds = {"", "connect", "http", "dns", "tls", "ssh", "ssh-agent"};

constexpr std::string_view word_of(DecisionAction action) { return kDecisionActions[static_cast<size_t>(action)]; }
constexpr std::string_view word_of(DecisionKind kind) { return kDecisionKinds[static_cast<size_t>(kind)]; }

// Limits the texts of a decision that a guard writes, in bytes; it cuts longer ones. It writes each byte that is not
// ASCII as a character of its own, so a reader gets up to twice as many bytes.
struct DecisionLimits {
  // A valid name has at most 253 characters. A longer text comes from a request that was refused.
  static constexpr size_t kHost = 260;
  static constexpr size_t kMethod = 32, kPath = 512, kCode = 64, kReason = 512;
  static constexpr size_t kSecret = 64, kRule = 64, kFingerprint = 64;
  static constexpr size_t kTime = 24;
};

// Holds one line of the record. Text in it is `words`, so long text is cut, because a missing line would be worse.
struct Decision {
  static constexpr const char* kType = "audit";  // among a guard's messages
  static constexpr const char* kName = "decision";
  static constexpr size_t kMost = 64 << 10;
  // Holds the number of bytes that a connection has carried.
  struct Totals {
    uint64_t out, in;  // bytes
  };
  std::string time;  // 2026-01-01T00:00:00.000Z
  std::string id;    // empty if the guard did not make the decision
  DecisionAction action = DecisionAction::deny;
  DecisionKind kind = DecisionKind::none;
  std::string host;
  uint16_t port = 0;                        // 0 means none
  std::string method, path;                 // for a request
  std::string code, reason;                 // the reason is text for the operator
  std::optional<policy::Lacks> lacks = {};  // for a refusal by the rules; earlier versions did not write it
  std::string secret;                       // the name of the secret that the decision concerns
  std::string rule = {};                    // the rule that found a credential
  std::string fingerprint = {};             // the credential's fingerprint, which does not reveal it
  std::optional<Totals> bytes = {};         // for a connection that has ended
  uint64_t count = 1;                       // how many decisions of this kind the line represents
  std::string first;                        // time of the first of them
  bool near = false;                        // the decision was made on the operator's machine, for a remote session
  std::string trail = {};                   // its place in a record, if it is in one (session/audit/audit_chain.h)

  bool is_allow() const { return action == DecisionAction::allow; }
  bool is_deny() const { return action == DecisionAction::deny; }
  bool is_end() const { return action == DecisionAction::end; }
};
void fields(Object& o, Decision& decision);

// Requests a session's latest decisions. They are numbered from 0. Without `from`, requests only the number of the
// next one.
struct WantedDecisions {
  static constexpr const char* kName = "request for decisions";
  static constexpr size_t kMost = 1 << 10;
  std::optional<uint64_t> from;
};
void fields(Object& o, WantedDecisions& wanted);

// Answers WantedDecisions. Decisions that are no longer in memory are missing, so `from` may be greater than the
// requested number.
struct LatestDecisions {
  static constexpr const char* kName = "latest decisions";
  static constexpr size_t kMost = 1 << 20;
  uint64_t from = 0;  // the number of the first one
  uint64_t next = 0;  // the number of the one that will follow the last of `decisions`
  std::vector<Decision> decisions;
};
void fields(Object& o, LatestDecisions& latest);

}  // namespace bottle::wire
