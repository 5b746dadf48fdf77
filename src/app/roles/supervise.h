// Declares the main functions of two internal processes: the supervisor, which owns a session and which
// start_supervisor() starts, and the broker of a remote session.
#pragma once

namespace bottle::app {

// Reads the job from `socket` and runs the session to its end. Blocks. Returns the exit status of the process.
int supervise(int socket);

// Runs the guard as a broker. This is `bottle broker`, which the near side of a remote session starts
// (remote/near/services/broker.h). The broker reads its configuration from stdin and receives connections over the
// socket that is its stderr. Blocks. Returns the exit status of the process.
int run_broker();

}  // namespace bottle::app
