// This file reads events and results of another machine, which an agent may have taken over. They are checked like
// every message (wire/codec), and the rules in them are made safe to paste into the manifest.
#pragma once

#include <string_view>

#include "base/error.h"
#include "wire/event.h"
#include "wire/result.h"

namespace bottle::remote {

// These functions decode an event or a result. A rule that is proposed for the manifest is for the host that was
// refused, and is written by bottle itself; otherwise it is empty. Rules that a recorded session would have needed name
// one plain host each; others are left out. Both fail with Code::protocol like decode().
Result<wire::Event> read_far_event(std::string_view bytes);
Result<wire::SessionResult> read_far_result(std::string_view bytes);

// Reports whether the far side may send this event. All other events come from the near side.
bool comes_from_far(const wire::Event& event);

}  // namespace bottle::remote
