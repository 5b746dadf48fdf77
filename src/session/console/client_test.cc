#include "session/console/client.h"

#include <gtest/gtest.h>

#include <signal.h>
#include <unistd.h>

#include <future>
#include <thread>

#include "base/files/file.h"
#include "base/os/descriptors.h"
#include "wire/failure.h"
#include "wire/frames/frames.h"

namespace bottle::session {
namespace {

using wire::FrameType, wire::receive_frame, wire::send_frame;

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

// The supervisor reads no more input while the agent does not read.
TEST(Follow, KeepsInputForASupervisorThatReadsLateAndSendsAStopAheadOfIt) {
  auto pair = make_socket_pair().value();
  auto input = make_pipe().value();
  UniqueFd own_input(::dup(0));
  ASSERT_EQ(::dup2(input.read.get(), 0), 0);
  // The first part is more than the socket holds, and less than the socket and the launcher hold.
  std::string first(384 << 10, 'a'), rest(2 << 20, 'b');
  for (size_t i = 0; i < first.size(); i += 7) first[i] = static_cast<char>('A' + i % 26);
  Signals signals(kLauncherSignals, Signals::Nohup::heeded);
  std::promise<void> stopped;
  auto is_stopped = stopped.get_future().share();
  auto feed = std::async(std::launch::async, [&] {
    EXPECT_TRUE(write_all(input.write.get(), first));
    ::kill(::getpid(), SIGTERM);
    is_stopped.wait();
    EXPECT_TRUE(write_all(input.write.get(), rest));
    input.write.reset();
  });
  std::string taken;
  size_t before_stop = 0;
  auto supervisor = std::async(std::launch::async, [&] {
    is_stopped.wait();
    while (taken.size() < first.size() + rest.size()) {
      auto frame = receive_frame(pair.theirs.get());
      if (!frame) break;
      if (frame->type == FrameType::input) taken += frame->bytes;
      if (frame->type == FrameType::stop) before_stop = taken.size();
    }
    (void)send_frame(pair.theirs.get(), FrameType::failure, wire::encode(Error{Code::canceled, "over", ""}));
  });
  auto ended = follow(
      pair.ours.get(),
      {.input = ClientOptions::Input::forwarded, .signals = &signals, .on_stop = [&](int) { stopped.set_value(); }});
  feed.get();
  supervisor.get();
  ASSERT_EQ(::dup2(own_input.get(), 0), 0);
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().what, "over");
  EXPECT_TRUE(taken == first + rest) << taken.size() << " bytes arrived";
  EXPECT_GT(before_stop, 0u);
  EXPECT_LT(before_stop, first.size());
}

TEST(AwaitEnd, HasALimit) {
  auto pair = make_socket_pair().value();
  await_end(pair.ours.get(), std::chrono::milliseconds(20));  // would otherwise never return
  EXPECT_TRUE(write_all(pair.theirs.get(), "x"));
}

}  // namespace
}  // namespace bottle::session
