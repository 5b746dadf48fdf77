// Protects the memory of a process that holds secrets.
#pragma once

namespace bottle {

// From this call on, a crash of this process leaves no core dump, even if the kernel pipes dumps into a program, which
// RLIMIT_CORE alone does not prevent (core(5)). Other processes of the operator can no longer read its memory
// (ptrace(2)). Programs that it starts inherit only the soft limit (execve(2)).
void forbid_core_dumps();

}  // namespace bottle
