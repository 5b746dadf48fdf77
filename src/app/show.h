// How a session's events and result look to the operator.
#pragma once

#include <nlohmann/json.hpp>

#include "app/output.h"

namespace bottle::app {

void show_event(const nlohmann::json& event, const Output& output);
void show_result(const nlohmann::json& result, const Output& output);
// "detached; the agent goes on", with the way back.
void show_detached(const std::string& session);

}  // namespace bottle::app
