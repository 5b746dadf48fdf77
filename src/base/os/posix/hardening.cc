#include "base/os/hardening.h"

#include <sys/resource.h>

namespace bottle {

void restore_randomization(char**) {}

void forbid_core_dumps() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_CORE, &limit) != 0) return;
  limit.rlim_cur = 0;
  ::setrlimit(RLIMIT_CORE, &limit);
}

}  // namespace bottle
