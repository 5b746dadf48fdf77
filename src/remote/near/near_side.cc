// Runs the loop of a near side: it waits, handles what happened, and ends when the session is over for this process.
#include "remote/near/near_side.h"

#include "base/os/poller.h"
#include "remote/near/driver.h"
#include "session/console/stop_signal.h"

namespace bottle::remote {

void run_near_side(const Job& job, Clients& clients, std::optional<Channel> channel) {
  session::catch_stop_signal();
  Driver driver(job, clients, std::move(channel));
  driver.open();
  while (!driver.is_over()) {
    Poller poller;
    poller.wait(driver.add_to(poller));
    // A signal may have ended the wait, so it is handled before the rest of the turn.
    if (session::stop_was_signaled()) driver.stop();
    driver.handle(poller);
  }
}

}  // namespace bottle::remote
