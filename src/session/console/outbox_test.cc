#include "session/console/outbox.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "base/unique_fd.h"
#include "wire/event.h"

namespace bottle::session {
namespace {

using wire::Frame, wire::FrameReader, wire::FrameType;

struct OutboxPair {
  UniqueFd ours, theirs;

  OutboxPair() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    ours.reset(ends[0]), theirs.reset(ends[1]);
  }

  // Reads everything in `box`, like a client that has begun to read again.
  std::vector<Frame> read_all(Outbox& box) {
    FrameReader reader;
    std::vector<Frame> frames;
    char buffer[65536];
    for (;;) {
      EXPECT_TRUE(box.flush(ours.get()));
      ssize_t n = ::recv(theirs.get(), buffer, sizeof buffer, MSG_DONTWAIT);
      if (n <= 0) return frames;
      reader.feed({buffer, static_cast<size_t>(n)});
      while (auto frame = reader.next()) frames.push_back(*frame);
    }
  }
};

std::string output_of(const std::vector<Frame>& frames) {
  std::string all;
  for (const auto& frame : frames)
    if (frame.type == FrameType::output) all += frame.bytes;
  return all;
}

TEST(Outbox, KeepsWhatASlowClientHasNotRead) {
  OutboxPair line;
  Outbox box;
  std::string sent;
  for (int i = 0; i < 300; ++i) {
    std::string part(10000, static_cast<char>('a' + i % 26));
    sent += part;
    box.add(FrameType::output, part);
    ASSERT_TRUE(box.flush(line.ours.get()));
  }
  EXPECT_FALSE(box.empty()) << "the socket's buffer took everything, so that this shows nothing";
  box.add(FrameType::result, "{}");
  auto frames = line.read_all(box);
  EXPECT_EQ(output_of(frames), sent);
  ASSERT_FALSE(frames.empty());
  EXPECT_EQ(frames.back().type, FrameType::result);
  EXPECT_TRUE(box.empty());
  EXPECT_EQ(box.size(), 0u);
}

TEST(Outbox, DropsOutputBeyondItsLimitAndReportsHowMuch) {
  OutboxPair line;
  Outbox box(100000);
  for (int i = 0; i < 1000; ++i) box.add(FrameType::output, std::string(1000, 'x'));
  EXPECT_LE(box.size(), 101000u);
  box.add(FrameType::event, "{}");
  auto frames = line.read_all(box);
  uint64_t missed = 0;
  for (const auto& frame : frames) {
    if (frame.type != FrameType::event || frame.bytes == "{}") continue;
    auto event = wire::decode<wire::Event>(frame.bytes, wire::From::ours);
    ASSERT_TRUE(event);
    ASSERT_TRUE(std::holds_alternative<wire::OutputMissed>(*event));
    missed += std::get<wire::OutputMissed>(*event).bytes;
  }
  EXPECT_GT(missed, 0u);
  EXPECT_EQ(output_of(frames).size() + missed, 1000000u);
}

TEST(Outbox, AFrameThatCannotWaitIsSentBetweenWholeFrames) {
  OutboxPair line;
  Outbox box;
  for (int i = 0; i < 3; ++i) box.add(FrameType::input, std::string(1'000'000, 'x'));
  ASSERT_TRUE(box.flush(line.ours.get()));
  ASSERT_LT(box.size(), 3'000'000u) << "a part of the first frame was sent";
  box.add_first(FrameType::ping, "");
  auto frames = line.read_all(box);
  ASSERT_EQ(frames.size(), 4u);
  EXPECT_EQ(frames[1].type, FrameType::ping);
  EXPECT_EQ(box.size(), 0u);
  box.add(FrameType::input, "x");
  box.add_first(FrameType::ping, "");
  frames = line.read_all(box);
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[0].type, FrameType::ping) << "nothing of the other frame was sent";
}

TEST(Outbox, FailsOnceTheConnectionIsGone) {
  OutboxPair line;
  line.theirs.reset();
  Outbox box;
  box.add(FrameType::output, "x");
  EXPECT_FALSE(box.flush(line.ours.get()));
}

}  // namespace
}  // namespace bottle::session
