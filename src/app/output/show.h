// Shows a session's events and result to the operator.
#pragma once

#include <functional>
#include <string>

#include "app/output/output.h"
#include "base/error.h"
#include "session/console/client.h"
#include "session/sweep/sweep.h"
#include "wire/event.h"
#include "wire/result.h"

namespace bottle::app {

// begin_clock() starts the clock of the progress lines; without it, it starts with the program. show_event() and
// show_result() write to stderr, as lines for people or, with --json, as one line of JSON each.
void begin_clock();
void show_event(const wire::Event& event, const Output& output);
void show_result(const wire::SessionResult& result, const Output& output);
// Shows what came home from a session after its end, and what of it could not be removed.
void show_swept(const session::Swept& swept, const Output& output);
// Shows how session::follow() ended on this connection to a supervisor: the result, the way back to a session that
// goes on, or the error, with `on_error`, which returns the exit status. Unless all is removed, waits up to 5 s for the
// end of the supervisor. Returns bottle's exit status.
int show_ended(int supervisor, const std::string& session, const Result<session::Ended>& ended, const Output& output,
               const std::function<int(const Error&)>& on_error);

}  // namespace bottle::app
