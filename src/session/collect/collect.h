// Brings the agent's work home from its workspace: sanitized, on separate refs, and as a patch.
#pragma once

#include "base/progress.h"
#include "docker/engine.h"
#include "session/ledger/ledger.h"
#include "wire/result.h"
#include "wire/start/job.h"
#include "workspace/workspace.h"

namespace bottle::session {

// Returns the path of the record of what was sent, in the session's directory on the side that has the operator's
// files.
std::string record_in(const std::string& scratch);

// Describes how the workspace is written into an archive for the container's root.
workspace::Outgoing outgoing_of(const wire::Job& job);

// Describes the work to bring home. Returns nothing if the workspace is not copied.
std::optional<Work> work_of(const wire::Job& job, const workspace::Summary& sent);

// Brings the work home. Blocks; may be repeated. Never touches the checked-out tree. Reports an error as part of the
// answer, because teardown continues. Work that could not be sorted is kept as an archive. If the archive cannot be
// written either, the work is held: only the container has it, so the container must not be removed. `scratch` is the
// session's directory. `progress` receives progress for the operator.
wire::WorkResult collect(docker::Engine& engine, const std::string& session, const Work& work,
                         const std::string& scratch, const Progress& progress);

// Returns why collect() failed before if the disk had too little room and has no more now, so that the same would
// happen again. `scratch` is the session's directory.
std::optional<std::string> lack_of_room(const std::string& scratch, const std::string& results);

// Returns an account of work that is still in the agent's container, because of `error`.
wire::WorkResult held_result(const std::string& session, const std::string& error);

// Makes `back` say that the work is held, because the account of it could not be written.
void mark_held(wire::WorkResult& back, const std::string& session, const Error& error);

// Turns the result of workspace::receive() into the form for the session's result.
wire::WorkResult sorted(workspace::ReceivedWork back);

}  // namespace bottle::session
