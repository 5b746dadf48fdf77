// Handles the gate's three messages: the helper reads the ask, writes the report, and reads the go message. See
// ARCHITECTURE.md, "The gate".
#pragma once

#include <string>

#include "base/error.h"
#include "wire/gate/gate.h"

namespace bottle::inside {

using wire::Go;
using wire::Probe;

// Returns the report as the helper prints it: one line between the two marks that the supervisor looks for.
std::string frame_report(const wire::Report& report);

// Reads the one byte that asks for the report. Blocks for at most `idle_ms`.
Result<> read_ask(int fd, int idle_ms);

// Reads 8 hexadecimal digits and that many bytes from `fd`, and not one byte more. Blocks for at most `idle_ms` without
// a new byte. Fails with Code::closed at the end of the file, with Code::limit beyond Go::kMost bytes, and with
// Code::protocol or Code::invalid if the message cannot be decoded.
Result<Go> read_go(int fd, int idle_ms);

}  // namespace bottle::inside
