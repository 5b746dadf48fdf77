// The work comes home: what the agent left in its workspace, sanitised, on refs of its own and as a patch.
#pragma once

#include <functional>

#include "docker/engine.h"
#include "session/ledger/ledger.h"
#include "wire/job.h"
#include "wire/result.h"
#include "workspace/workspace.h"

namespace bottle::session {

// Where the record of what was sent is, in a session's directory: of the side that has the operator's files.
std::string record_in(const std::string& scratch);

// How the workspace goes out, into an archive for the container's root.
workspace::Outgoing outgoing_of(const Job& job);

// What there is to bring home; none where the workspace does not travel.
std::optional<Work> work_of(const Job& job, const workspace::Summary& sent);

// Blocking; may be done again. Never touches the checked-out tree. An error is part of the answer, since teardown goes
// on: what could not be sorted is kept as an archive. If even that could not be written, the work is held: the
// container is all that has it, and must not be removed. `scratch`: the session's directory. `tell`: how far it is, for
// who waits.
wire::Back collect(docker::Engine& engine, const std::string& session, const Work& work, const std::string& scratch,
                   const std::function<void(const std::string&)>& tell);

// What workspace::receive() made of the work, for the session's result.
wire::Back sorted(workspace::Back back);

}  // namespace bottle::session
