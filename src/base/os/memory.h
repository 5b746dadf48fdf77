// What a process does to its own memory and environment.
#pragma once

#include <cstddef>

namespace bottle {

// Overwrites bytes that were secret. The compiler does not remove the call.
void wipe(void* bytes, size_t size);

// Returns free memory of the heap to the system, if the C library can do that.
void release_free_memory();

// Removes all variables from this process's environment.
void clear_environment();

}  // namespace bottle
