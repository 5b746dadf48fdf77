// Reads which directories of an engine are on disks of their own.
#pragma once

#include <string>
#include <string_view>

namespace bottle::session {

// Returns whether everything below a directory of an engine is on the disk of that directory, according to
// `mount_list` (mount_list() in base/os/system_facts.h). `directory` is absolute and has no links. Ignores what an
// engine itself mounts for its containers. Pure.
bool is_on_one_disk(const std::string& directory, std::string_view mount_list);

}  // namespace bottle::session
