// Writes the messages in which the near side of a session tells its clients what happens.
#pragma once

#include <string>

#include "base/error.h"
#include "remote/near/state/session_state.h"
#include "wire/event.h"

namespace bottle::remote {

// Holds the names that appear in messages.
struct SessionNames {
  std::string session, machine;  // `machine` is the name that the operator uses
  std::string vm;                // empty if there is no VM
  std::string record;            // the directory with the session's record on this machine
};

// Returns the event for `tell`.
wire::Event event_of(const Tell& tell, const SessionNames& names);

// Returns why a session failed and what to do about it. `work` is the place of the work that was brought home, or empty
// if there is none.
Error error_of(const TellFailure& failed, const SessionNames& names, const std::string& work);

}  // namespace bottle::remote
