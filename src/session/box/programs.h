// This file provides the programs that bottle puts into containers: the guard and the inside helper. They must be for
// the processor of the engine, which may differ from that of this machine. `bottle` carries both for its own processor.
// Those for another one are files beside it, such as bottle-guard-aarch64 and bottle-inside-aarch64.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace bottle::session {

enum class Program { guard, inside };

// Returns the one name that bottle uses for a processor's architecture (aarch64 for arm64, x86_64 for amd64), or an
// empty text if it does not know the architecture. The names come from engines and from uname -m.
std::string_view architecture_named(std::string_view name);

// Returns the architecture that this program was built for.
std::string_view own_architecture();

// Returns the bytes of a program, which stay valid. `architecture` is any name for it. `directory` is where the files
// for other architectures are. Fails with Code::not_found if the file is missing, and with Code::invalid if bottle does
// not know the architecture. May read a file.
Result<std::string_view> program_for(Program program, std::string_view architecture, const std::string& directory);

}  // namespace bottle::session
