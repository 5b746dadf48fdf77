// What other machines said of themselves the last time, so that a start there need not wait to be told again. A cache:
// it may be wrong, and a start that rests on it checks it before any value goes there.
#pragma once

#include <optional>

#include "remote/link/far_side.h"

namespace bottle::app {

// The hello of that machine (to this very program), with its clock gone on since.
std::optional<wire::Hello> recall(const session::Far& far);
void remember(const session::Far& far, const wire::Hello& hello);
void forget(const session::Far& far);

}  // namespace bottle::app
