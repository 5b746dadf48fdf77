// Protects a process that holds secrets or reads what an agent sends.
#pragma once

#include <cstddef>

namespace bottle {

// Executes this program again with address space layout randomization if it was started without. A VM with an emulated
// processor starts all programs without it, because code at fixed addresses is translated only once instead of at each
// exec, which makes an engine there twice as fast (providers/qemu). Call this first in main(). It returns if there is
// nothing to do or if it fails.
void restore_randomization(char** argv);

// From this call on, a crash of this process leaves no core dump, even if the kernel pipes dumps into a program, which
// RLIMIT_CORE alone does not prevent (core(5)). Other processes of the operator can no longer read its memory
// (ptrace(2)). Programs that it starts inherit only the soft limit (execve(2)). Where POSIX is all there is, only the
// soft limit is set.
void forbid_core_dumps();

// Overwrites bytes that were secret. The compiler does not remove the call.
void wipe(void* bytes, size_t size);

// Returns free memory of the heap to the system, if the C library can do that.
void release_free_memory();

// Removes all variables from this process's environment.
void clear_environment();

}  // namespace bottle
