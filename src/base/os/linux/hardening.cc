#include "base/os/hardening.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace bottle {

void restore_randomization(char** argv) {
  constexpr unsigned long kAsk = 0xffffffff;
  int now = ::personality(kAsk);
  if (now < 0 || !(now & ADDR_NO_RANDOMIZE)) return;
  int wanted = now & ~ADDR_NO_RANDOMIZE;
  // Checks that the change took effect, because otherwise the program would execute itself forever.
  if (::personality(static_cast<unsigned long>(wanted)) < 0 || ::personality(kAsk) != wanted) return;
  ::execv("/proc/self/exe", argv);
}

void forbid_core_dumps() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_CORE, &limit) == 0) {
    limit.rlim_cur = 0;
    ::setrlimit(RLIMIT_CORE, &limit);
  }
  ::prctl(PR_SET_DUMPABLE, 0);
}

void wipe(void* bytes, size_t size) { ::explicit_bzero(bytes, size); }
void release_free_memory() { ::malloc_trim(0); }
void clear_environment() { ::clearenv(); }

}  // namespace bottle
