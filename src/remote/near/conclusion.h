// How a session on another machine ends, on this side: the work comes home, what is there goes, the receipt says so.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "machine/record.h"
#include "remote/link/far_side.h"
#include "remote/near/work_fetcher.h"
#include "session/console/clients.h"
#include "session/ledger/ledger.h"
#include "wire/job.h"

namespace bottle::remote {

using session::Clients, session::Ledger;

// What the near side's record of a session knows of its machine.
struct NearRecord {
  Far far;
  std::string vm_name;  // made for this session; empty: somebody else's machine
  std::string directory;
};

// Where the records of VMs are.
machine::Places vm_places(const Job& job);

// What `bottle list` shows.
void write_info(const Job& job, const NearRecord& place, const char* state);

// The agent has ended, with `told` as the far side's result. Blocks until the work is here, which `ledger` is told, and
// nothing of it is there, or, after minutes, it stays there and the record of it here. `side`: null where it was not
// reached yet. The session's result.
nlohmann::json finish_session(const Job& job, const NearRecord& place, FarSide* side, WorkFetcher& fetcher,
                              const nlohmann::json& told, Ledger& ledger, Clients& clients);

// It failed, before the agent ran or because its machine is gone: nothing is to be left there, or here. May add to the
// error what to do. `may_run`: as far as we know. False: then its machine would have to end it, and could not be asked;
// all stays as it is.
bool abandon_session(const Job& job, const NearRecord& place, FarSide* side, bool may_run, Clients& clients,
                     Error& error);

}  // namespace bottle::remote
