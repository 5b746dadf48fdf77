// Probes for system calls that the seccomp profile must refuse.
#pragma once

#include <vector>

#include "inside/gate/gate.h"

namespace bottle::inside {

// Tries each call once, with arguments that do no harm if the call is not refused. Under gVisor, it tries only vsock,
// because gVisor's own kernel answers the other calls.
std::vector<Probe> try_forbidden_calls(bool gvisor);

// Judges one call. Pure, and exposed for tests. `result` is what the call returned, and `number` is its errno.
Probe judge_call(const char* name, long result, int number);

}  // namespace bottle::inside
