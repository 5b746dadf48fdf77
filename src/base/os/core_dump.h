// Keeping the memory of a process that holds secrets to itself.
#pragma once

namespace bottle {

// From here on a crash of this process leaves no core dump, also where the kernel pipes dumps into a program
// (core(5): RLIMIT_CORE alone does not stop those), and no other process of the operator may read its memory
// (ptrace(2)). Programs that it starts are not affected: execve(2) resets both but the soft limit.
void forbid_core_dumps();

}  // namespace bottle
