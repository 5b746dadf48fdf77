#include "app/roles/far.h"

#include <chrono>
#include <thread>

#include "app/world/world.h"
#include "base/files/directories.h"
#include "base/os/deadline.h"
#include "base/os/this_program.h"
#include "docker/client/endpoint.h"
#include "docker/client/http_engine.h"
#include "remote/far/far.h"

namespace bottle::app {
namespace {

// Returns when the engine first answered, in seconds since 1970, or nothing if it did not answer in time.
std::optional<double> await_engine() {
  auto deadline = Deadline::in(std::chrono::minutes(5));
  while (!deadline.is_over()) {
    if (connect_engine())
      return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return std::nullopt;
}

}  // namespace

int run_far(const std::vector<std::string>& words) {
  remote::FarWorld world;
  // On a VM that boots, the engine starts last. Polling it on the VM is cheap, but over ssh each request needs a
  // channel.
  if (words.size() == 2 && words[0] == "serve" && words[1] == "await-engine") world.engine_at = await_engine();
  world.directories = directories();
  world.path_to_self = path_to_self();
  auto endpoint = docker::find_endpoint(environment());
  if (endpoint) world.engine_socket = endpoint->socket;
  else world.engine_socket = fail(Code::unavailable, endpoint.error().what, endpoint.error().todo);
  return remote::far_main(world, words);
}

}  // namespace bottle::app
