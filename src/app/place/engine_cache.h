// Remembers what this machine's engine said about itself, so that the next start need not wait for it to say so again.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace bottle::app {

// Returns the part of the engine's description of itself (GET /info) that a plan or a job depends on. It does not
// change while the engine and its configuration stay the same. Pure.
nlohmann::json facts_of(const nlohmann::json& info);

// Returns what remember_engine() kept for the engine at this socket, or nothing. It may be outdated: before anything
// secret depends on it, it must be compared with the engine's answer.
std::optional<nlohmann::json> recall_engine(const std::string& socket);
// Keeps facts_of() an engine. Does nothing if they are kept already, or cannot be.
void remember_engine(const std::string& socket, const nlohmann::json& facts);

}  // namespace bottle::app
