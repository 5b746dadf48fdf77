// Defines the records of a session's ledger (session/ledger/ledger.h), which has one per line. Records stay on disk,
// and later versions must still read those of earlier ones. Fields are therefore added and never changed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "plan/plan.h"
#include "wire/codec/codec.h"
#include "wire/start/job.h"

namespace bottle::wire {

// The kinds of things that a session creates. An ssh-agent is a process; all others are on the engine.
enum class ThingKind { container, network, volume, image, ssh_agent };
// Returns the word for a kind in ledgers and messages, such as "ssh-agent".
std::string word_of(ThingKind kind);

// Names something that a session creates and that must be removed again.
struct Thing {
  ThingKind kind = ThingKind::container;
  std::string name;  // of an ssh-agent, the path of its socket
  bool operator==(const Thing&) const = default;
};
void fields(Object& o, Thing& thing);

// Holds what is needed to bring a session's work home without its supervisor. Nothing in it is secret.
struct Work {
  std::string source;         // the operator's directory
  std::string workdir;        // the directory inside the bottle
  std::string base;           // commit that the work starts from; empty if there is none
  std::string results;        // directory for the patch and the archive
  bool only_archive = false;  // keep the work only as an archive; it is sorted on the operator's machine
};
void fields(Object& o, Work& work);

// Names the VM that was made for a session.
struct LedgerVm {
  std::string name, provider;
  VmJob wanted;  // without its environment
};
void fields(Object& o, LedgerVm& vm);

// Each record has one of these fields, or several that become true at the same moment.
struct LedgerRecord {
  static constexpr const char* kName = "ledger's record";
  static constexpr size_t kMost = 32 << 20;
  std::optional<std::string> owner = {};   // Owner::to_label()
  std::optional<std::string> engine = {};  // socket of the engine
  // EngineStorage::id. Another engine may get the socket later, or answer on the remote machine.
  std::optional<std::string> engine_id = {};
  std::optional<std::vector<Thing>> make = {};  // what will be created, in this order
  std::optional<uint64_t> asked = {};  // the connection that carries a create request (docker/client/abandoned.h)
  std::optional<Work> work = {};       // from here on, there is work that could be lost
  std::optional<bool> running = {};    // the agent was allowed to run, or may have been on a remote machine
  std::optional<int> ended = {};       // exit status of the agent
  std::optional<bool> home = {};       // the work is on the operator's disk
  std::optional<bool> foreign = {};    // the engine has mounted a volume that the session did not make
  // The following are for a session on a remote machine.
  std::optional<std::string> session = {};
  std::optional<MachineAddress> machine = {};
  std::optional<LedgerVm> vm = {};
  std::optional<plan::Plan> plan = {};
  std::optional<bool> secrets_stay = {}, offline = {};  // of NearShare
  std::optional<std::string> base = {};                 // the commit that was sent
  std::optional<std::string> id = {};                   // Job::id, on both machines
  std::optional<bool> ran = {};      // false while the remote machine has not said that the agent runs
  std::string unknown_in_plan = {};  // the first key of the plan that this version does not know; not written
};
void fields(Object& o, LedgerRecord& record);

// What `bottle list` says about a session. The owner of a session writes the first five; the others are about sessions
// without a living owner on this machine.
enum class SessionState {
  starting,
  running,
  unattended,   // the agent may still run on a remote machine
  unfetched,    // the session has ended, and its work is still on the remote machine
  left_behind,  // something may be left on the remote machine, and `bottle cleanup` asks it again
  held,
  dead,
  refused,  // its ledger is not accepted
};
// Returns the word for people, such as "left behind".
std::string word_of(SessionState state);

// Holds what `bottle list` shows of a session. It is info.json in the session's directory.
struct SessionInfo {
  static constexpr const char* kName = "session's info";
  static constexpr size_t kMost = 1 << 20;
  std::string session = {};
  SessionState state = SessionState::starting;
  std::string agent, bottle, workspace;  // empty if not known
  std::string machine;                   // user@host; empty for this machine
  std::optional<int64_t> started = {};   // seconds since 1970
  bool headless = false;                 // the agent has no terminal and takes no input
};
// Ignores unknown keys, which a later version may have written.
void fields(Object& o, SessionInfo& info);

}  // namespace bottle::wire
