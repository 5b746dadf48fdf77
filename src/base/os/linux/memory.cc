#include "base/os/memory.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

namespace bottle {

void wipe(void* bytes, size_t size) { ::explicit_bzero(bytes, size); }
void release_free_memory() { ::malloc_trim(0); }
void clear_environment() { ::clearenv(); }

}  // namespace bottle
