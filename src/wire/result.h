// How a session ended: what came back, what was refused, what is gone and who says so. docs/events.md describes it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "wire/codec/codec.h"

namespace bottle::wire {

// A host that the guard refused, or the supervisor's ssh-agent.
struct DeniedHost {
  std::string host, code;  // host: with its port
  uint64_t count = 0;
  std::string allow;  // the rule that would have allowed it; empty: no rule would have
};
void fields(Object& o, DeniedHost& denied);

// A secret that was on its way to the agent's model, and what became of it.
struct SecretNotice {
  std::string secret, code, host;  // secret: its name
};
void fields(Object& o, SecretNotice& notice);

struct EgressResult {
  std::vector<DeniedHost> denied;
  std::vector<SecretNotice> secrets;
  uint64_t allowed = 0;                              // decisions
  std::optional<std::vector<std::string>> recorded;  // in record mode: the rules that would have been needed
};
void fields(Object& o, EgressResult& egress);

// Of a repository within the workspace.
struct SortedBelow {
  std::string path;  // in the workspace
  std::vector<std::string> refs;
  uint64_t commits = 0, files = 0;
  std::string patch;
};
void fields(Object& o, SortedBelow& below);

// Refs and files that the agent's work became.
struct Sorted {
  std::vector<std::string> refs;
  uint64_t commits = 0, files = 0;
  std::string patch;                 // path; empty: nothing changed
  std::vector<SortedBelow> below;    // of the other repositories in the workspace
  std::string bundle;                // path: what no repository could take; empty: nothing
  std::vector<std::string> ignored;  // that the agent made or changed, and git ignores
  std::string kept;                  // the directory in which those are; empty: they were not asked for
  std::vector<std::string> flagged;  // files to look at before anything is run, with the reason
  std::string all_flagged;           // path of a file with each of them; empty: `flagged` has them all
  uint64_t skipped = 0;              // files that did not come
};

// Empty: there was nothing to bring.
struct Back {
  static constexpr const char* kName = "account of what came back";
  static constexpr size_t kMost = 2 << 20;
  std::string text;  // for people, several lines
  std::optional<Sorted> sorted;
  std::string error;    // why it is not sorted, or not here
  std::string archive;  // path: the workspace as the agent left it
  bool held = false;    // it is still in its container
};
void fields(Object& o, Back& back);

// A provider's word that a VM is gone.
struct VmDestruction {
  std::string provider, id;
  int calls = 0;
  double seconds = 0;
  int64_t made = 0, at = 0;  // seconds since 1970
  std::vector<std::string> left;
};

// What became of a VM that was made for a session.
struct VmReceipt {
  std::string name;
  bool kept = false;
  std::string why = {};    // it is kept
  bool confirmed = false;  // it is gone
  std::string confirmed_by = {};
  std::string error = {};  // why its provider could not be asked
  std::optional<VmDestruction> destruction = {};
};
void fields(Object& o, VmReceipt& vm);

struct Receipt {
  static constexpr const char* kName = "receipt";
  static constexpr size_t kMost = 1 << 20;
  std::string session = {};
  std::vector<std::string> removed;  // "container bottle-x-agent"
  std::vector<std::string> left;     // what could not be removed, with the reason
  bool confirmed = false;            // the engine, asked by label, has nothing of the session
  // Of a session on another machine.
  std::string machine;            // user@host
  std::optional<bool> forgotten;  // that machine has removed what it kept of the session
  std::optional<VmReceipt> vm;
};
void fields(Object& o, Receipt& receipt);

// What a machine answers that was told to forget a session.
struct Forgotten {
  static constexpr const char* kName = "answer";
  static constexpr size_t kMost = 1 << 20;
  std::string session;
  bool forgotten = true;
  std::optional<Receipt> receipt;  // nothing: there is no engine, and nothing that one would have to remove
};
void fields(Object& o, Forgotten& forgotten);

struct SessionResult {
  static constexpr const char* kName = "result";
  static constexpr size_t kMost = 2 << 20;
  std::string session, bottle;
  int exit = 125;                      // the agent's status
  std::string what;                    // in place of a result of its own: why there is none
  std::optional<EgressResult> egress;  // nothing: the supervisor died before it could tell
  std::optional<Back> back;            // the same
  Receipt receipt;
};
void fields(Object& o, SessionResult& result);

}  // namespace bottle::wire
