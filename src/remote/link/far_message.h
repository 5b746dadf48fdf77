// Events and results of another machine, which an agent may have taken: checked as every message (wire/codec), and the
// rules in them made fit to be pasted into the manifest.
#pragma once

#include <string_view>

#include "base/error.h"
#include "wire/event.h"
#include "wire/result.h"

namespace bottle::remote {

// A rule that is proposed for the manifest is one for the host that was refused, in our own writing, or empty. Rules
// that a recorded session would have needed name one plain host each; others are left out. Code::protocol as decode().
Result<wire::Event> read_far_event(std::string_view bytes);
Result<wire::SessionResult> read_far_result(std::string_view bytes);

// Whether the far side tells of it. All other events are for the near side to tell.
bool comes_from_far(const wire::Event& event);

}  // namespace bottle::remote
