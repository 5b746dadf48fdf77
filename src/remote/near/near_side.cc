#include "remote/near/near_side.h"

#include <poll.h>
#include <signal.h>

#include <vector>

#include "remote/near/driver.h"

namespace bottle::remote {
namespace {

volatile sig_atomic_t asked_to_stop = 0;

}  // namespace

void run_near_side(const Job& job, Clients& clients, std::optional<Channel> channel) {
  struct sigaction action{};
  action.sa_handler = [](int) { asked_to_stop = 1; };
  ::sigaction(SIGTERM, &action, nullptr);
  Driver driver(job, clients, std::move(channel));
  driver.open();
  while (!driver.is_over()) {
    std::vector<pollfd> fds;
    int wait_ms = driver.add_to(fds);
    ::poll(fds.data(), fds.size(), wait_ms);
    if (asked_to_stop) driver.stop();
    driver.handle(fds);
  }
}

}  // namespace bottle::remote
