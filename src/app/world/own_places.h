// Whether the places that decide what this program does are the operator's own.
#pragma once

#include "base/directories.h"
#include "base/error.h"

namespace bottle::app {

// Configuration, state and cache decide which commands run and what is removed. Code::denied where another user owns a
// directory on the way to one of them, or everybody can write to it: root with the HOME of somebody else would run what
// that person has written there. A place that does not exist yet is judged by the nearest directory that does.
Result<> check_own_places(const session::Directories& directories);

}  // namespace bottle::app
