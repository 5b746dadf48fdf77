// What sessions leave, as lines for people. Hosts, paths and reasons are an agent's words: nothing in them reaches the
// terminal as a command.
#pragma once

#include <string>
#include <vector>

#include "base/line.h"
#include "wire/guard/decision.h"
#include "wire/result.h"

namespace bottle::app {

// One decision of the guard: time, what, where, why. Without a line end.
Line egress_line(const wire::Decision& decision);

// Of what came back: what to look at before anything is run, with its heading; nothing where there is none. It is the
// last that is said, so that it is read.
std::vector<Line> look_lines(const wire::Back& back);

// A session's result: how it ended, what came back, what was blocked, whether all is gone.
std::vector<Line> result_lines(const wire::SessionResult& result);

}  // namespace bottle::app
