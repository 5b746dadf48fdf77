// Encodes a plan as JSON. `bottle start --dry-run --json` prints it (docs/plan.md), and a job contains one.
#pragma once

#include "plan/plan.h"
#include "wire/codec/codec.h"

namespace bottle::wire {

template <>
inline constexpr Kind kKind<plan::Plan> = {"plan", 32 << 20};

// Refuses a plan of another version. Values that equal the default may be absent, as docs/plan.md says.
void fields(Object& o, plan::Plan& plan);

}  // namespace bottle::wire
