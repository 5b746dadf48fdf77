// Handles SIGTERM, which asks a supervisor to stop its session.
#pragma once

namespace bottle::session {

// From now on, SIGTERM does not end this process but makes stop_was_signaled() return true. poll(2) in the main thread
// returns early.
void heed_stop_signal();
bool stop_was_signaled();

}  // namespace bottle::session
