// Remembers the last hello of each remote machine, so that a start need not wait for a new one. It is a cache and may
// be wrong: a start that relies on it checks it before any value goes to the machine.
#pragma once

#include <optional>

#include "remote/link/far_side.h"

namespace bottle::app {

// recall() returns the last hello of that machine (to exactly this program), with its clock advanced to now, or
// nothing. remember() keeps a hello, and forget() removes it. They use only files, and treat an error as a missing
// hello.
std::optional<wire::Hello> recall(const wire::MachineAddress& address);
void remember(const wire::MachineAddress& address, const wire::Hello& hello);
void forget(const wire::MachineAddress& address);

}  // namespace bottle::app
