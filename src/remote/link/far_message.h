// Reads events and results of another machine, which an agent may have taken over. They are checked like
// every message (wire/codec), and the rules in them are made safe to paste into the manifest.
#pragma once

#include <string_view>

#include "base/error.h"
#include "wire/event.h"
#include "wire/result.h"

namespace bottle::remote {

// These functions decode an event or a result, and fail with Code::protocol like decode(). They keep a rule that is
// proposed for the manifest only if it is for the refused host, and write it in bottle's own format; otherwise, the
// rule becomes empty. Of the rules that a recorded session would have needed, they keep only those that name one plain
// host.
Result<wire::Event> read_far_event(std::string_view bytes);
Result<wire::SessionResult> read_far_result(std::string_view bytes);

// Returns whether the far side may send this event. All other events come from the near side.
bool comes_from_far(const wire::Event& event);

}  // namespace bottle::remote
