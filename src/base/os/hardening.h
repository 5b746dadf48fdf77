// Protects a process that holds secrets or reads what an agent sends.
#pragma once

#include <cstddef>

namespace bottle {

// Executes this program again with address space layout randomization if it was started without it. A VM with an
// emulated processor starts all programs without it, because code at fixed addresses is translated only once and not
// at each exec. That makes the VM's engine twice as fast (providers/qemu). Call this before the program has done
// anything that it must not do twice. Returns if there is nothing to do or if it fails.
void restore_randomization(char** argv);

// Keeps a crash of this process from leaving a core dump, even if the kernel pipes dumps into a program, which
// RLIMIT_CORE alone does not prevent (core(5)). Also keeps the operator's other processes from reading its memory
// (ptrace(2)). Programs that it starts inherit only the soft limit (execve(2)). With POSIX alone, sets only the soft
// limit.
void forbid_core_dumps();

// Overwrites secret bytes. The compiler does not optimize the call away.
void wipe(void* bytes, size_t size);

// Returns the heap's free memory to the system, if the C library can do that.
void release_free_memory();

// Releases the memory that holds parts of the program's own file, because much of it is needed only at the start. The
// kernel reads a part again from the file when it is used. Does nothing with POSIX alone.
void release_program_file();

// Removes all variables from this process's environment.
void clear_environment();

}  // namespace bottle
