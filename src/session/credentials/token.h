// How the agent's sign-in token gets to a bottle on another machine: with the job, by ssh's SendEnv, or from a file
// that is there.
#pragma once

#include <string>

#include "base/error.h"
#include "plan/plan.h"
#include "wire/job.h"

namespace bottle::session {

// The variable that SendEnv carries; a stock sshd does not accept it.
inline constexpr const char* kTokenVariable = "BOTTLE_TOKEN";

// The plan's secret that signs the agent in; null if it has none.
const plan::Secret* sign_in_secret(const plan::Plan& plan);

// The variable's value; afterwards neither this process's environment nor /proc/PID/environ has it. Call it before any
// thread.
std::string take_token_variable();

// What `sh` prints for that text. Blocking, a minute at most.
Result<std::string> fetch_token(const std::string& text);

// The file's text without the line's end; afterwards it is overwritten and gone. Code::denied if it cannot be removed:
// a token that stays on a disk is one that an agent may find.
Result<std::string> take_token_file(const std::string& path);

}  // namespace bottle::session
