#include "session/console/client.h"

#include <gtest/gtest.h>

#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <future>
#include <thread>

#include "base/files/file.h"
#include "base/os/descriptors.h"
#include "wire/codec/failure.h"
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
  Signals signals(kLauncherSignals, Signals::Nohup::respected);
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

// Runs follow() with a pipe in the place of the terminal, and a supervisor that reads when the test says so.
class Typed {
 public:
  explicit Typed(bool starting) {
    EXPECT_EQ(::dup2(input_.read.get(), 0), 0);
    ClientOptions options{.input = ClientOptions::Input::terminal,
                          .on_event =
                              [this](const wire::Event& event) {
                                if (const auto* it = std::get_if<wire::Warning>(&event)) warnings.push_back(it->what);
                              },
                          .starting = starting};
    options.signals = &signals_;
    follower_ = std::async(std::launch::async, [this, options] { (void)follow(pair_.ours.get(), options); });
  }
  ~Typed() { ::dup2(own_input_.get(), 0); }
  // Types text, and waits until the launcher has read it.
  void type(const std::string& text) {
    EXPECT_TRUE(write_all(input_.write.get(), text));
    for (int left = 1; left > 0;) {
      ASSERT_EQ(::ioctl(input_.read.get(), FIONREAD, &left), 0);
      if (left > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  // Reads input until `size` bytes have come.
  void take(size_t size) {
    while (taken.size() < size) {
      auto frame = receive_frame(pair_.theirs.get());
      ASSERT_TRUE(frame);
      if (frame->type == FrameType::input) taken += frame->bytes;
    }
  }
  void send(const wire::Event& event) {
    EXPECT_TRUE(send_frame(pair_.theirs.get(), FrameType::event, wire::encode(event)));
  }
  // Types until the launcher passes it on, and ends the session. Returns what the supervisor got before.
  std::string end() {
    auto reader = std::async(std::launch::async, [this] {
      while (taken.find(kLast) == std::string::npos) take(taken.size() + 1);
    });
    while (reader.wait_for(std::chrono::milliseconds(1)) != std::future_status::ready) type(std::string(1, kLast));
    reader.get();
    (void)send_frame(pair_.theirs.get(), FrameType::failure, wire::encode(Error{Code::canceled, "over", ""}));
    follower_.get();
    return taken.substr(0, taken.find(kLast));
  }

  std::string taken;
  std::vector<std::string> warnings;  // valid after end()

 private:
  static constexpr char kLast = '!';
  SocketPair pair_ = make_socket_pair().value();
  PipeEnds input_ = make_pipe().value();
  UniqueFd own_input_{::dup(0)};
  Signals signals_{kLauncherSignals, Signals::Nohup::respected};
  std::future<void> follower_;
};

TEST(Follow, DropsTheRestOfALongPasteAndWarnsOnce) {
  Typed typed(false);
  std::string first(2 << 20, 'a');
  typed.type(first);
  typed.take(128 << 10);  // there is room again, and more still waits
  typed.type(std::string(1 << 10, 'b'));
  std::string taken = typed.end();
  EXPECT_GT(taken.size(), size_t{256} << 10);
  EXPECT_EQ(taken.find_first_not_of('a'), std::string::npos) << "the paste has a hole";
  EXPECT_EQ(typed.warnings.size(), 1u);
}

TEST(Follow, DropsTheRestOfALongPasteBeforeTheAgentRuns) {
  Typed typed(true);
  for (auto [size, text] : {std::pair(60, 'a'), std::pair(16, 'b'), std::pair(1, 'c')})
    typed.type(std::string(static_cast<size_t>(size) << 10, text));
  typed.send(wire::AgentRuns{});
  std::string taken = typed.end();
  EXPECT_EQ(taken.substr(0, 60 << 10), std::string(60 << 10, 'a'));
  EXPECT_EQ(taken.find('c'), std::string::npos) << "the paste has a hole";
  EXPECT_EQ(typed.warnings.size(), 1u);
}

TEST(Follow, ReadsOnlyTheDetachKeyForAHeadlessAgent) {
  auto pair = make_socket_pair().value();
  auto input = make_pipe().value();
  UniqueFd own_input(::dup(0));
  ASSERT_EQ(::dup2(input.read.get(), 0), 0);
  ASSERT_TRUE(write_all(input.write.get(), "abc\n\x10\x11"));
  auto ended = follow(pair.ours.get(), {.input = ClientOptions::Input::detach_key});
  ::dup2(own_input.get(), 0);
  ASSERT_TRUE(ended) << ended.error().what;
  EXPECT_TRUE(std::holds_alternative<Detached>(*ended));
  pair.ours.reset();
  std::string types;
  while (auto frame = receive_frame(pair.theirs.get())) types += static_cast<char>(frame->type);
  EXPECT_EQ(types, "wd") << "the size and the end";
}

TEST(Follow, ReturnsTheResultOfTheSession) {
  auto pair = make_socket_pair().value();
  wire::SessionResult sent{.session = "x1", .exit = 7, .receipt = {.session = "x1", .confirmed = true}};
  ASSERT_TRUE(send_frame(pair.theirs.get(), FrameType::result, wire::encode(sent)));
  auto ended = follow(pair.ours.get(), {});
  ASSERT_TRUE(ended) << ended.error().what;
  const auto* result = std::get_if<wire::SessionResult>(&*ended);
  ASSERT_TRUE(result);
  EXPECT_EQ(wire::encode(*result), wire::encode(sent));
}

TEST(AwaitEnd, HasALimit) {
  auto pair = make_socket_pair().value();
  await_end(pair.ours.get(), std::chrono::milliseconds(20));  // would otherwise never return
  EXPECT_TRUE(write_all(pair.theirs.get(), "x"));
}

}  // namespace
}  // namespace bottle::session
