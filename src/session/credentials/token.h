// Reads the agent's sign-in token for a bottle on another machine. The token comes with the job, through ssh's
// SendEnv, or from a file on that machine.
#pragma once

#include <string>

#include "base/error.h"
#include "plan/plan.h"
#include "wire/start/job.h"

namespace bottle::session {

// The variable that SendEnv carries. An sshd with its default settings does not accept it.
inline constexpr const char* kTokenVariable = "BOTTLE_TOKEN";

// Returns the plan's secret that signs the agent in, or null if it has none.
const plan::Secret* sign_in_secret(const plan::Plan& plan);

// Returns the variable's value and removes it from this process's environment and from /proc/PID/environ. Call it
// before any thread starts.
std::string take_token_variable();

// Runs `text` with sh(1), and returns its output. Blocks for at most a minute.
Result<std::string> fetch_token(const std::string& text);

// Returns the file's text without the line end, then overwrites and removes the file. Fails with Code::denied if the
// file cannot be overwritten and removed, because an agent might find a token that stays on a disk.
Result<std::string> take_token_file(const std::string& path);

}  // namespace bottle::session
