// Probes for system calls that the seccomp profile must refuse.
#pragma once

#include <vector>

#include "inside/gate.h"

namespace bottle::inside {

// Tries each call once, with arguments that do no harm if it is not refused. Under gVisor it tries only vsock: the
// kernel that answers the others is gVisor's own.
std::vector<Probe> try_forbidden_calls(bool gvisor);

// Pure, for tests. `result` is what the call returned, and `number` its errno.
Probe judge_call(const char* name, long result, int number);

}  // namespace bottle::inside
