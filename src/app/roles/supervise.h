// Declares the main functions of two internal processes: the supervisor, which owns a session and which
// start_supervisor() starts, and the broker of a remote session.
#pragma once

#include <map>
#include <string>

#include "wire/start/job.h"

namespace bottle::app {

// Reads the job from `socket` and runs the session to its end. Blocks. Returns the exit status of the process.
int supervise(int socket);

// Returns those of the variables that a supervisor of this job keeps. Pure; exposed for tests.
std::map<std::string, std::string> kept_variables(const wire::Job& job, const std::map<std::string, std::string>& all);

// Runs the guard as a broker. This is `bottle broker`, which the near side of a remote session starts
// (remote/near/services/broker.h). The broker reads its configuration from stdin and receives connections over the
// socket that is its stderr. Blocks. Returns the exit status of the process.
int run_broker();

}  // namespace bottle::app
