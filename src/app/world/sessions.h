// Lists the sessions on this machine from their directories.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"
#include "session/ledger/ledger.h"
#include "wire/frames/frames.h"

namespace bottle::app {

// Fails with Code::invalid if no session can have this name.
Result<> check_session_name(const std::string& name);

// Returns the sorted names of a directory's entries that do not begin with a dot. Returns nothing if there is no such
// directory. Fails if it cannot be read.
Result<std::vector<std::string>> shown_in(const std::string& directory);

// Returns the session with that name, even if it does not run any more. If the name is empty, returns the only session
// that runs, or, if none runs, the only one of which something is left.
Result<std::string> running_session(const std::string& wanted);
// Does the same for sessions that have results. If the name is empty, returns the newest of them: of all (their records
// may still grow), or only of those that have ended.
enum class Of { all, ended };
Result<std::string> session_with_results(const std::string& wanted, Of of);
// Returns whether the session has not ended yet. Its supervisor may be dead.
bool runs_now(const std::string& session);
// Says that a session has no results, and why.
std::unexpected<Error> no_results(const std::string& session);

// Reads the ledger of a session. Fails with Code::not_found if there is no such session.
Result<session::LedgerView> ledger_of(const std::string& session);
// Connects to the supervisor of a session with this ledger. Returns the socket, which the caller closes. Fails with
// Code::not_found if the supervisor is dead.
Result<UniqueFd> connect_to_supervisor(const std::string& session, const session::LedgerView& view);
// Sends a frame to the supervisor of a session and passes the frames that come back to `take`, until it returns true.
// Blocks for at most 20 s, and fails with `late` after that.
Result<> ask_supervisor(const std::string& session, wire::FrameType type, std::string_view bytes, const Error& late,
                        const std::function<bool(const wire::Frame&)>& take);

// Returns the name for a new session of `workspace`. The name must be unused, now and in the past, because what an
// earlier session left is found by its name.
Result<std::string> new_session(const std::string& name, const std::string& workspace);

// Returns info.json of each session, with "session" and "state", which is one of the words that `bottle help list`
// explains. Fails if the directory of the sessions cannot be read.
Result<std::vector<wire::SessionInfo>> sessions();
// Returns whether a session of that list has an agent, or will have one. The others only left something.
bool runs(const wire::SessionInfo& info);
// Returns what the session's supervisor wrote about it in info.json, or an empty description if that cannot be read.
wire::SessionInfo info_of(const std::string& session);

}  // namespace bottle::app
