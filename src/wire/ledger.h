// A record of a session's ledger (session/ledger/ledger.h), one a line. Records stay on the disk: an older bottle's
// must still be readable, so fields are added and never changed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plan/plan.h"
#include "wire/codec/codec.h"
#include "wire/job.h"

namespace bottle::wire {

struct Thing {
  std::string kind;  // container | network | volume | image | ssh-agent (its socket's path)
  std::string name;
  bool operator==(const Thing&) const = default;
};
void fields(Object& o, Thing& thing);

// What it takes to bring a session's work home without its supervisor. Nothing in it is secret.
struct Work {
  std::string source;   // the operator's directory
  std::string workdir;  // where it is inside
  std::string base;     // commit the work starts from, or empty
  std::string results;  // directory for patch and archive
  bool far = false;     // only as an archive: it is sorted on the operator's machine
};
void fields(Object& o, Work& work);

// The machine that was made for a session.
struct LedgerVm {
  std::string name, provider;
  VmJob wanted;  // without its environment
};
void fields(Object& o, LedgerVm& vm);

// Each record has one of these, or a few that become true at once.
struct LedgerRecord {
  static constexpr const char* kName = "ledger's record";
  static constexpr size_t kMost = 32 << 20;
  std::optional<std::string> owner = {};        // Owner::to_label()
  std::optional<std::string> engine = {};       // its socket
  std::optional<std::vector<Thing>> make = {};  // what will be made, in this order
  std::optional<uint64_t> asked = {};           // a create goes over this connection (docker/abandoned.h)
  std::optional<Work> work = {};                // from here on there is something to lose
  std::optional<bool> running = {};             // the agent was let run, or on another machine may have been
  std::optional<int> ended = {};                // its status
  std::optional<bool> home = {};                // its work is on the operator's disk
  // Of a session on another machine.
  std::optional<std::string> session = {};
  std::optional<Far> remote = {};
  std::optional<LedgerVm> vm = {};
  std::optional<plan::Plan> plan = {};
  std::optional<bool> tunnel = {};       // its secrets stay here
  std::optional<bool> offline = {};      // the machine has no network of its own
  std::optional<std::string> base = {};  // the commit that was sent
};
void fields(Object& o, LedgerRecord& record);

// What `bottle list` shows of a session: info.json in its directory.
struct SessionInfo {
  static constexpr const char* kName = "session's info";
  static constexpr size_t kMost = 1 << 20;
  std::string session, state;            // state: starting | running | unattended | unfetched | left behind | …
  std::string agent, bottle, workspace;  // empty: not known
  std::string machine;                   // user@host; empty: this one
  std::optional<int64_t> started = {};   // seconds since 1970
};
void fields(Object& o, SessionInfo& info);

}  // namespace bottle::wire
