// How a session's events and result look to the operator.
#pragma once

#include <nlohmann/json.hpp>

#include "app/output/output.h"
#include "session/sweep.h"

namespace bottle::app {

// Times on progress lines count from here; without it, from the start of the program.
void begin_clock();
void show_event(const nlohmann::json& event, const Output& output);
void show_result(const nlohmann::json& result, const Output& output);
// What came home from a session whose supervisor died, and what of it could not be removed.
void show_swept(const session::Swept& swept, const Output& output);
// "detached; the agent goes on", with the way back.
void show_detached(const std::string& session);

}  // namespace bottle::app
