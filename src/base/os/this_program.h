// Describes the program that this process runs.
#pragma once

#include <string>

namespace bottle {

// Returns a path that starts this program again, even if its file was replaced by an upgrade in the meantime, if the
// system can do that. Returns "bottle" if the path is unknown.
std::string path_to_self();

// Returns whether this program's file was replaced or removed, as far as the system can tell. path_to_self() then has a
// meaning only in this process and in programs that it starts itself.
bool is_file_replaced();

// Returns the directory of the program's file, or an empty string if it is unknown.
std::string directory_of_self();

// Returns the linker's hash of this program (its .note.gnu.build-id) in hexadecimal, or an empty string if it has none.
std::string build_id();

// Returns whether this program can run as the far side of a session, which is always Linux.
bool can_be_far_side();

// Call this first in main() with its argv[0], for systems that do not tell a process which file it runs.
void remember_own_path(const char* argv0);

}  // namespace bottle
