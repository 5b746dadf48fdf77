// Handles the gate's messages: the helper reads files and the ask, writes the report, and reads the go message. See
// ARCHITECTURE.md, "The gate".
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "wire/gate/gate.h"

namespace bottle::inside {

using wire::Go;
using wire::Probe;

// Returns the report as the helper prints it: one line between the two marks that the supervisor looks for.
std::string frame_report(const wire::Report& report);

// Reads up to the byte that asks for the report, and not one byte more. If an archive of files comes before it, calls
// `take` with its pieces. Blocks for at most `idle_ms` without a new byte. Fails with Code::limit if the archive has
// more than wire::kMostFiles bytes, and with Code::protocol for anything else.
Result<> read_ask(int fd, int idle_ms, const std::function<void(std::string_view)>& take);

// Reads 8 hexadecimal digits and that many bytes from `fd`, and not one byte more. Blocks for at most `idle_ms` without
// a new byte. Fails with Code::closed at the end of the file, with Code::limit beyond Go::kMost bytes, and with
// Code::protocol or Code::invalid if the message cannot be decoded.
Result<Go> read_go(int fd, int idle_ms);

}  // namespace bottle::inside
