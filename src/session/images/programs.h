// Provides the programs that bottle puts into containers: the guard and the inside helper. They must be built for the
// engine's processor, which may differ from that of this machine. `bottle` carries both for its own processor. Those
// for other processors are files in the directory of `bottle`, such as bottle-guard-aarch64 and bottle-inside-aarch64.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace bottle::session {

// Names the programs that run in containers.
enum class Program { guard, inside };

// Returns bottle's name for a processor architecture (aarch64 for arm64, x86_64 for amd64), or an empty string if the
// architecture is unknown. `name` comes from an engine or from uname -m.
std::string_view architecture_named(std::string_view name);

// Returns the architecture that this program was built for.
std::string_view own_architecture();

// Reads a program that is a file beside this one. Fails with Code::not_found if there is none. Fails with Code::denied
// if a user other than this one, root or the owner of bottle's own file may have written it. In /tmp, for example,
// every user can add files.
Result<std::string> read_program(const std::string& path);

// Returns the bytes of a program, which stay valid. `architecture` may be any of the architecture's names. `directory`
// contains the files for other architectures. Fails like read_program(), and with Code::invalid if the architecture is
// unknown. May read a file.
Result<std::string_view> program_for(Program program, std::string_view architecture, const std::string& directory);

// Returns the SHA-256 of a program that program_for() returned, in hexadecimal. For the guard that `bottle` carries,
// the build has computed it.
std::string digest_of(std::string_view program);

}  // namespace bottle::session
