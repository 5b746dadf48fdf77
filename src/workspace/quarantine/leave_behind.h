// Leaves entries of the archive behind.
#pragma once

#include <string>

#include "base/error.h"
#include "workspace/files/transfer.h"
#include "workspace/files/untar.h"
#include "workspace/quarantine/quarantine.h"

namespace bottle::workspace {

constexpr uint64_t kComparedAtMost = 4 << 20;  // a larger file is written before it is known whether it changed
constexpr const char* kOfRepository = "not brought home, because it belongs to a repository within the tree";

// Returns whether the operator has an identical entry at the path `name` of this repository. Reads `body` if it must.
Result<bool> operator_has_identical(const Quarantine& q, const std::string& name, const TarEntry& e,
                                    const Source& body);

// Reports an entry that is left behind, unless the operator has an identical one.
Result<> leave_behind(Quarantine& q, const std::string& name, const TarEntry& e, const Source& body, const char* why);

// Reports a whole git directory once, not each of its files.
void leave_repository(Quarantine& q, const std::string& git, const char* why);

}  // namespace bottle::workspace
