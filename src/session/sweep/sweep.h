// Sweeps dead sessions: finds them by our ledgers, brings their work home and removes their things. unrecorded.h
// handles things without a ledger.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/files/directories.h"
#include "docker/engine.h"
#include "session/ledger/ledger.h"
#include "session/ledger/ledger_file.h"
#include "session/ledger/teardown.h"

namespace bottle::session {

// Describes a dead session. find_orphans() makes it and sweep() acts on it.
struct Orphan {
  std::string session;
  enum class From { session, grave } from = From::session;  // a session that was swept before may have a grave
  std::string directory = {};                               // the directory of its ledger
  Result<LedgerView> view;  // an error says why the ledger is not accepted; then nothing is done
};

// Finds sessions only by the ledgers under `directories`, because an image may have any of the labels. A directory that
// cannot be read becomes an orphan without a name whose view is an error, so that a sweep reports it.
std::vector<Orphan> find_orphans(const Directories& directories);

// If the receipt is not confirmed, something is left, and the receipt names it.
struct Swept {
  wire::Receipt receipt;
  std::optional<wire::WorkResult> back;  // what was brought home; empty if there was nothing
};

// The explanation for a session whose supervisor died.
constexpr const char* kSupervisorDied = "the session's supervisor died, and the agent was stopped";

// Brings home the work of the orphans and tears them down. If an orphan's engine does not answer, or its work cannot
// be brought home, its ledger is kept for the next time. Several processes may sweep at the same time. One sweeps
// each orphan, and the others wait for it, at most for `patience`; then the receipt says so. `connect` reaches the
// engine that a ledger names. If `retry` says so, work for which the disk had too little room stays where it is until
// the disk has more.
enum class Retry { always, if_room };
std::vector<Swept> sweep(const Directories& directories, const std::vector<Orphan>& orphans,
                         const docker::Connect& connect, std::chrono::milliseconds patience = std::chrono::minutes(1),
                         Retry retry = Retry::always);

// Removes the directory of one of our sessions that is over, as remove_session_directory() does. If things may
// reappear, keeps a grave that records what to look for.
void forget(const Directories& directories, const std::string& directory, const TornDown& gone,
            std::optional<LedgerFile> ledger);

}  // namespace bottle::session
