// Handles SIGTERM, which tells a supervisor to stop its session.
#pragma once

namespace bottle::session {

// From this call on, SIGTERM does not end the process. Instead, it makes stop_was_signaled() return true, and poll(2)
// in the main thread return early.
void catch_stop_signal();
bool stop_was_signaled();

}  // namespace bottle::session
