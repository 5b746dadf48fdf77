// The process that owns a session: detached from any terminal, so that a launcher may die and another attach.
#pragma once

#include <string>

#include "base/error.h"
#include "session/job.h"

namespace bottle::session {

// Starts a supervisor (this program again, as `bottle supervise`), hands it the job, and gives the launcher's end of
// the connection. The supervisor tears the session down when the launcher goes before the agent runs; afterwards it
// goes on without one. `channel`: of a session on another machine; handed over.
Result<int> start_supervisor(const Job& job, const Channel* channel = nullptr);

// The supervisor's main: reads the job from `socket`, runs the session to its end. The exit status is for nobody.
int supervise(int socket);

}  // namespace bottle::session
