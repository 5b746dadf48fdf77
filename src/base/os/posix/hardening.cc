// Does what POSIX allows for the protection of secrets in memory: no core dumps, and overwriting. The rest of
// hardening.h has no portable form and does nothing here.
#include "base/os/hardening.h"

#include <sys/resource.h>

extern char** environ;

namespace bottle {

void restore_randomization(char**) {}

void forbid_core_dumps() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_CORE, &limit) != 0) return;
  limit.rlim_cur = 0;
  ::setrlimit(RLIMIT_CORE, &limit);
}

void wipe(void* bytes, size_t size) {
  // The compiler must keep writes through a volatile pointer, even if it sees that the memory is not read again.
  for (auto* at = static_cast<volatile char*>(bytes); size > 0; --size) *at++ = 0;
}

void release_free_memory() {}

void release_program_file() {}

void clear_environment() {
  static char* none[] = {nullptr};
  environ = none;
}

}  // namespace bottle
