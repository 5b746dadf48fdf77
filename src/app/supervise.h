// `bottle supervise` runs the process that owns a session. It is not a command for people; start_supervisor() starts
// it.
#pragma once

namespace bottle::app {

// Reads the job from `socket` and runs the session to its end. Blocks. Returns the exit status of the process.
int supervise(int socket);

}  // namespace bottle::app
