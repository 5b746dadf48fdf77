#include "base/os/aslr.h"

#ifdef __linux__
#include <sys/personality.h>
#include <unistd.h>
#endif

namespace bottle {

#ifdef __linux__
void restore_randomization(char** argv) {
  constexpr unsigned long kAsk = 0xffffffff;
  int now = ::personality(kAsk);
  if (now < 0 || !(now & ADDR_NO_RANDOMIZE)) return;
  int wanted = now & ~ADDR_NO_RANDOMIZE;
  // Looked at again: a program that runs itself for ever would be worse than one without.
  if (::personality(static_cast<unsigned long>(wanted)) < 0 || ::personality(kAsk) != wanted) return;
  ::execv("/proc/self/exe", argv);
}
#else
void restore_randomization(char**) {}
#endif

}  // namespace bottle
