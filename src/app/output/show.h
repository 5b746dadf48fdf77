// Shows a session's events and result to the operator.
#pragma once

#include "app/output/output.h"
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
// Shows that the client has detached and the agent continues, and how to return.
void show_detached(const std::string& session);

}  // namespace bottle::app
