// Declares what flush_tree() needs from the operating system. The folder of each system in base/os implements it.
#pragma once

namespace bottle {

// Flushes everything on the file system of an open file (syncfs(2)). On failure, returns -1 and sets errno, which is
// ENOSYS if the system has no such call. Blocks.
int flush_file_system(int fd);

}  // namespace bottle
