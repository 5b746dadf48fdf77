// The handler only sets a flag, because little else is safe in a signal handler. The supervisor's loop looks at the
// flag after each wait, which the signal interrupts.
#include "session/console/stop_signal.h"

#include <signal.h>

namespace bottle::session {
namespace {
volatile sig_atomic_t signaled = 0;
}

void catch_stop_signal() {
  struct sigaction action{};
  // SA_RESTART is not set, so that a wait of the main thread returns early.
  action.sa_handler = [](int) { signaled = 1; };
  ::sigaction(SIGTERM, &action, nullptr);
}

bool stop_was_signaled() { return signaled != 0; }

}  // namespace bottle::session
