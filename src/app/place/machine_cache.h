// What other machines said of themselves the last time, so that a start there need not wait to be told again. A cache:
// it may be wrong, and a start that rests on it checks it before any value goes there.
#pragma once

#include <optional>

#include <nlohmann/json.hpp>

#include "remote/link/far_side.h"

namespace bottle::app {

// The hello of that machine (to this very program), with its clock gone on since.
std::optional<nlohmann::json> recall(const session::Far& far);
void remember(const session::Far& far, const nlohmann::json& hello);
void forget(const session::Far& far);

}  // namespace bottle::app
