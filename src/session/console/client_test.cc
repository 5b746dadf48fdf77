#include "session/console/client.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/files/file.h"
#include "base/os/descriptors.h"

namespace bottle::session {
namespace {

// A message may tell the operator to run `bottle cleanup`, which removes nothing of a session whose supervisor runs.
TEST(AwaitEnd, WaitsUntilTheSupervisorHasEnded) {
  auto pair = make_socket_pair().value();
  bool read_all = false;
  std::thread supervisor([&] {
    // This is more than the sockets hold, so the call ends only if the client reads to the end.
    read_all = write_all(pair.theirs.get(), std::string(8 << 20, 'x')).has_value();
    pair.theirs.reset();
  });
  await_end(pair.ours.get(), std::chrono::minutes(1));
  pair.ours.reset();
  supervisor.join();
  EXPECT_TRUE(read_all);
}

TEST(AwaitEnd, HasALimit) {
  auto pair = make_socket_pair().value();
  await_end(pair.ours.get(), std::chrono::milliseconds(20));  // would otherwise never return
  EXPECT_TRUE(write_all(pair.theirs.get(), "x"));
}

}  // namespace
}  // namespace bottle::session
