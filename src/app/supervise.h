// `bottle supervise`: the process that owns a session. Not a command for people; start_supervisor() starts it.
#pragma once

namespace bottle::app {

// Reads the job from `socket` and runs the session to its end. Blocking. The exit status of the process.
int supervise(int socket);

}  // namespace bottle::app
