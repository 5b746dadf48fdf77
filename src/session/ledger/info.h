// Writes what `bottle list` shows of a session and what it recorded, and reads how a session ended.
#pragma once

#include <string>

#include "base/error.h"
#include "wire/ledger.h"
#include "wire/result.h"
#include "wire/start/job.h"

namespace bottle::session {

// Writes the session's info.json. `machine` is user@host, or empty for this machine. An error is ignored, because
// `bottle list` can do without the file.
void write_info(const wire::Job& job, wire::SessionState state, const std::string& machine = {});

// Writes the rules that a session with --record would have needed into its results, ready to be put under egress.allow.
// Writes nothing if the result has none. An error is ignored, because result.json has them, too.
void write_recorded(const wire::Job& job, const wire::SessionResult& result);

// Writes the result into a session's directory for results. Returns once it would survive a power failure. If this
// fails, an earlier result stays.
Result<> write_result(const std::string& results, const wire::SessionResult& result);

// Reads the result from a session's directory for results. Fails with Code::not_found if there is none.
Result<wire::SessionResult> read_result(const std::string& results);

}  // namespace bottle::session
