// What the near side of a session tells its clients, in words.
#pragma once

#include <string>

#include "base/error.h"
#include "remote/near/session_state.h"
#include "wire/event.h"

namespace bottle::remote {

struct SessionNames {
  std::string session, machine;  // the machine as the operator knows it
  std::string vm;                // empty: there is none
};

// The event for `tell`.
wire::Event event_of(const Tell& tell, const SessionNames& names);

// Why a session failed, and what to do about it. `work`: where work is that was brought home; empty: there is none.
Error error_of(const TellFailure& failed, const SessionNames& names, const std::string& work);

}  // namespace bottle::remote
