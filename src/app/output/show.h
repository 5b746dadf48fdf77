// How a session's events and result look to the operator.
#pragma once

#include "app/output/output.h"
#include "session/sweep.h"
#include "wire/event.h"
#include "wire/result.h"

namespace bottle::app {

// Times on progress lines count from here; without it, from the start of the program.
void begin_clock();
void show_event(const wire::Event& event, const Output& output);
void show_result(const wire::SessionResult& result, const Output& output);
// What came home from a session whose supervisor died, and what of it could not be removed.
void show_swept(const session::Swept& swept, const Output& output);
// "detached; the agent goes on", with the way back.
void show_detached(const std::string& session);

}  // namespace bottle::app
