// Defines the message that says how a session ended: what came back, what was refused, what was removed and who
// confirmed it. docs/events.md describes it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "wire/codec/codec.h"

namespace bottle::wire {

// Names a host that the guard or the supervisor's ssh-agent refused.
struct DeniedHost {
  std::string host, code;  // `host` includes the port
  uint64_t count = 0;
  std::string allow;  // the rule that would have allowed it; empty if no rule would have
};
void fields(Object& o, DeniedHost& denied);

// Says how a session's record of decisions ended (session/audit/audit_chain.h).
struct AuditSeal {
  std::string file;    // name of the record in the session's results
  uint64_t lines = 0;  // number of lines in the record
  std::string head;    // SHA-256 of the last line, in hexadecimal
};
void fields(Object& o, AuditSeal& seal);

// Names a secret that the agent tried to send to its model, and says what happened to it.
struct SecretNotice {
  std::string secret, code, host;  // `secret` is the name of the secret
};
void fields(Object& o, SecretNotice& notice);

// Says what the session has used of a host.
struct ShownUsage {
  std::string host;  // "(others)" for all hosts beyond those that are listed
  uint64_t requests = 0, bytes_up = 0;
  uint64_t tokens_in = 0, tokens_out = 0;  // of a model
  double cost = 0;                         // of the tokens, estimated by the operator's prices
};
void fields(Object& o, ShownUsage& use);

// Summarizes the guard's decisions during the session, counted from its record.
struct EgressResult {
  std::vector<DeniedHost> denied;
  std::vector<SecretNotice> secrets;
  uint64_t allowed = 0;                              // number of decisions
  std::optional<std::vector<std::string>> recorded;  // the rules that would have been needed; only in record mode
  std::vector<ShownUsage> used = {};
};
void fields(Object& o, EgressResult& egress);

// Says what came back for a repository within the workspace.
struct ReceivedBelow {
  std::string path;  // in the workspace
  std::vector<std::string> refs;
  std::optional<uint64_t> commits;  // absent if their number is unknown
  uint64_t files = 0;
  std::string patch;
};
void fields(Object& o, ReceivedBelow& below);

// Names the refs and files that contain the agent's work.
struct ReceivedWork {
  std::vector<std::string> refs;
  std::optional<uint64_t> commits;  // absent if their number is unknown
  uint64_t files = 0;
  std::string patch;                 // path; empty if nothing changed
  std::vector<ReceivedBelow> below;  // of the other repositories in the workspace
  std::string bundle;                // path of a bundle with what no repository could accept; empty if there is nothing
  std::vector<std::string> ignored;  // files that the agent made or changed and that git ignores
  std::string kept;                  // directory with those files; empty if they were not requested
  std::vector<std::string> flagged;  // files to inspect before running anything, with the reason
  std::string all_flagged;           // path of a file that lists all of them; empty if `flagged` is complete
  uint64_t skipped = 0;              // number of files that were not brought home
};

// Describes the work that came back. It is empty if there was nothing to bring.
struct WorkResult {
  static constexpr const char* kName = "account of what came back";
  static constexpr size_t kMost = 2 << 20;
  std::string text;  // several lines for people
  std::optional<ReceivedWork> sorted;
  std::string error;    // why the work is not sorted or not on this machine
  std::string archive;  // path of an archive with the workspace as the agent left it
  bool held = false;    // the work is still in its container

  bool has_work() const { return sorted || !archive.empty(); }
  bool is_empty() const { return text.empty() && !has_work(); }
};
void fields(Object& o, WorkResult& back);

// Holds a provider's statement that a VM is destroyed.
struct VmDestruction {
  std::string provider, id;
  int calls = 0;
  double seconds = 0;
  int64_t made = 0, at = 0;  // seconds since 1970
  std::vector<std::string> left;
};

// These are the ends of a VM that was made for a session. It is kept:
struct VmKept {
  std::string why;
};
// Its provider has confirmed that it is destroyed.
struct VmGone {
  std::string confirmed_by;               // which answers did, or who else says so
  std::optional<VmDestruction> how = {};  // empty if another command destroyed it
};
// It may still exist.
struct VmUncertain {
  std::string error = {};                 // why its provider could not be asked
  std::optional<VmDestruction> how = {};  // what the provider answered
};
struct VmReceipt {
  std::string name;
  std::variant<VmUncertain, VmKept, VmGone> end = {};

  bool is_gone() const { return std::holds_alternative<VmGone>(end); }
};
void fields(Object& o, VmReceipt& vm);

// Says what was removed at the end of a session, what is left, and who confirmed it. The supervisor makes it, or a
// later sweep.
struct Receipt {
  static constexpr const char* kName = "receipt";
  static constexpr size_t kMost = 1 << 20;
  std::string session = {};
  std::vector<std::string> removed;  // "container bottle-x-agent"
  std::vector<std::string> left;     // what could not be removed, with the reason
  bool confirmed = false;            // the engine, queried by label, has nothing left of the session
  // The following are for a session on a remote machine.
  std::string machine;            // user@host
  std::optional<bool> forgotten;  // that machine has removed everything it kept of the session
  std::optional<VmReceipt> vm;
};
void fields(Object& o, Receipt& receipt);

// A machine that was told to forget a session answers with this.
struct Forgotten {
  static constexpr const char* kName = "answer";
  static constexpr size_t kMost = 1 << 20;
  std::string session;
  bool forgotten = true;           // false if the machine keeps the session, because only it has the work
  std::optional<Receipt> receipt;  // absent if there is no engine and nothing that an engine would have to remove
};
void fields(Object& o, Forgotten& forgotten);

// Holds the result of a session. It is the last message to every client, and result.json in the session's results.
struct SessionResult {
  static constexpr const char* kName = "result";
  static constexpr size_t kMost = 2 << 20;
  std::string session, bottle;
  int exit = 125;                      // exit status of the agent
  std::string what;                    // why there is no result, or why bottle stopped the agent
  std::string limit;                   // the key of the manifest whose limit the agent exceeded; empty if none
  std::optional<EgressResult> egress;  // absent if the supervisor died before it could report
  std::vector<AuditSeal> audit = {};   // one for each record
  std::optional<WorkResult> back;      // absent for the same reason
  Receipt receipt;
};
void fields(Object& o, SessionResult& result);

}  // namespace bottle::wire
