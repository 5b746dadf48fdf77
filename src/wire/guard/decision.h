// A decision of a guard, or of the filter in front of an ssh-agent: a line of egress.jsonl, and of the audit that a
// guard writes. The agent chose most of its words.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "wire/codec/codec.h"

namespace bottle::wire {

struct Decision {
  static constexpr const char* kType = "audit";  // among a guard's messages
  static constexpr const char* kName = "decision";
  static constexpr size_t kMost = 64 << 10;
  struct Totals {
    uint64_t out, in;  // bytes
  };
  std::string time;    // 2026-01-01T00:00:00.000Z
  std::string id;      // of the guard's; empty: another's
  std::string action;  // allow | deny | close | dropped
  std::string kind;    // connect | http | dns | tls | ssh | ssh-agent
  std::string host;
  uint16_t port = 0;                 // 0: none
  std::string method, path;          // of a request
  std::string code, reason;          // reason: for the operator
  std::string secret;                // the name of the one that it is about
  std::optional<Totals> bytes = {};  // of a connection that has ended
  uint64_t count = 1;                // how many decisions of this kind the line stands for,
  std::string first;                 // and when the first of them was
  std::string side;                  // near: made on the operator's machine, for a session on another one
};
void fields(Object& o, Decision& decision);

}  // namespace bottle::wire
