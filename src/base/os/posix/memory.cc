#include "base/os/memory.h"

extern char** environ;

namespace bottle {

void wipe(void* bytes, size_t size) {
  for (auto* at = static_cast<volatile char*>(bytes); size > 0; --size) *at++ = 0;
}

void release_free_memory() {}

void clear_environment() {
  static char* none[] = {nullptr};
  environ = none;
}

}  // namespace bottle
