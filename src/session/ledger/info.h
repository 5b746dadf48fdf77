// Writes what `bottle list` shows of a session.
#pragma once

#include <string>

#include "wire/ledger.h"
#include "wire/start/job.h"

namespace bottle::session {

// Writes the session's info.json. `machine` is user@host, or empty for this machine. An error is ignored, because
// `bottle list` can do without the file.
void write_info(const wire::Job& job, wire::SessionState state, const std::string& machine = {});

}  // namespace bottle::session
