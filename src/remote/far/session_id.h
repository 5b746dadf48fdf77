// Identifies a session on this machine. A name alone does not: another near side may have a session of the same name on
// it, with another id (wire::Job::id), which the verbs leave alone.
#pragma once

#include <optional>
#include <string>

#include "base/error.h"
#include "base/unique_fd.h"
#include "remote/far/far.h"

namespace bottle::remote {

// The name becomes a part of paths, so it must have passed is_session_name.
struct SessionId {
  std::string name, id;
};

// The end of advice, which says what to do if the work of a session that this machine does not know is lost.
inline constexpr const char* kIfLost =
    "; if it will never have the session's work again, run `bottle vm destroy` for the session's VM, or, if it has "
    "none, remove the session's directory from the state directory of your own machine";

// Returns whether this machine has the record of this session, which may have ended.
Result<bool> is_there(const FarWorld& world, const SessionId& which);

// Connects to the session's supervisor. Returns nothing if the session has none: this machine has no record of the
// session, or its owner is dead. Fails if that is not known, and with Code::unavailable if the owner lives but does not
// listen, even after FarWorld::supervisor_patience. Blocks for that long.
Result<std::optional<UniqueFd>> find_supervisor(const FarWorld& world, const SessionId& which);

// Fails if the engine may have a container or a volume of a session that this machine does not know. The machine may
// have restarted without the disk that has its state directory, for example. Then the missing record does not prove
// that there is no work. Fails with Code::unavailable if another engine answers than the one with `engine_id`
// (wire::Attach), because the disk with the engine's data may be missing as well. Fails in the same way if that id is
// empty, because then no answer proves anything. If the id is absent, the answer of any engine counts. Blocks until the
// engine answers.
Result<> check_engine_has_none(const FarWorld& world, const SessionId& which,
                               const std::optional<std::string>& engine_id);

}  // namespace bottle::remote
