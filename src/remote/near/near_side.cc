#include "remote/near/near_side.h"

#include <poll.h>

#include <vector>

#include "remote/near/driver.h"
#include "session/console/stop_signal.h"

namespace bottle::remote {

void run_near_side(const Job& job, Clients& clients, std::optional<Channel> channel) {
  session::heed_stop_signal();
  Driver driver(job, clients, std::move(channel));
  driver.open();
  while (!driver.is_over()) {
    std::vector<pollfd> fds;
    int wait_ms = driver.add_to(fds);
    ::poll(fds.data(), fds.size(), wait_ms);
    if (session::stop_was_signaled()) driver.stop();
    driver.handle(fds);
  }
}

}  // namespace bottle::remote
