#include "session/agent/agent_input.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "base/os/descriptors.h"

namespace bottle::session {
namespace {

using namespace std::chrono_literals;

constexpr auto kPatience = 5s;

class AgentInputTest : public ::testing::Test {
 protected:
  AgentInputTest() {
    auto pair = make_socket_pair();
    EXPECT_TRUE(pair);
    ours = std::move(pair->ours);
    agent = std::move(pair->theirs);
  }
  std::string read_all() const {
    std::string all, part(1 << 16, '\0');
    for (ssize_t n; (n = ::recv(agent.get(), part.data(), part.size(), MSG_DONTWAIT)) > 0;)
      all.append(part, 0, static_cast<size_t>(n));
    return all;
  }
  // Adds input until the buffer is full.
  std::string fill() {
    std::string all;
    for (char next = 'a'; !input.is_full(); next = next == 'z' ? 'a' : static_cast<char>(next + 1)) {
      std::string part(16 << 10, next);
      input.add(ours.get(), part, now);
      all += part;
    }
    return all;
  }
  UniqueFd ours, agent;
  AgentInput input{kPatience};
  AgentInput::Time now{};
};

TEST_F(AgentInputTest, WhatTheAgentDoesNotReadYetIsKeptInItsOrder) {
  input.add(ours.get(), "first ", now);
  EXPECT_TRUE(input.empty());
  std::string sent = "first " + fill(), got;
  while (!input.empty()) {
    got += read_all();
    input.flush(ours.get(), now += 1s);
  }
  EXPECT_TRUE(got + read_all() == sent);
}

TEST_F(AgentInputTest, IsDroppedOnlyIfTheAgentReadsNothingForAWhile) {
  (void)fill();
  input.flush(ours.get(), now += kPatience - 1ms);
  ASSERT_TRUE(input.is_full());
  EXPECT_FALSE(read_all().empty());
  input.flush(ours.get(), now += 1ms);
  EXPECT_FALSE(input.is_full());
  EXPECT_FALSE(input.empty()) << "the agent reads";
  (void)fill();
  EXPECT_EQ(input.dropped(), 0u);
  input.flush(ours.get(), now += kPatience);
  EXPECT_TRUE(input.empty());
  EXPECT_GE(input.dropped(), AgentInput::kMost);
  EXPECT_TRUE(input.news(AgentInput::When::running).starts_with("the agent does not read its input"));
  EXPECT_EQ(input.news(AgentInput::When::running), "");
  EXPECT_EQ(input.news(AgentInput::When::at_end), "") << "nothing has been dropped since";
  (void)read_all();
  input.add(ours.get(), "later", now);
  EXPECT_EQ(read_all(), "later");
}

// What a near side has sent before it was told to wait may take an agent longer than the patience.
TEST_F(AgentInputTest, AnAgentThatReadsSlowlyLosesNothing) {
  std::string part(1 << 20, 'x'), got;
  for (int i = 0; i < 8; ++i) input.add(ours.get(), part, now);
  for (std::string next; !(next = read_all()).empty(); got += next) input.flush(ours.get(), now += 2s);
  EXPECT_EQ(got.size(), 8 * part.size());
}

// Otherwise, an agent could keep a launcher's request to stop behind the input for as long as it likes.
TEST_F(AgentInputTest, IsDroppedIfTheAgentReadsHardlyAnything) {
  std::string part(AgentInput::kLeast / 8, '\0');
  (void)fill();
  input.add(ours.get(), std::string(2 * AgentInput::kLeast, 'x'), now);
  for (int i = 0; i < 15 && input.is_full(); ++i) {
    ASSERT_GT(::recv(agent.get(), part.data(), part.size(), MSG_DONTWAIT), 0);
    input.flush(ours.get(), now += 1s);
  }
  EXPECT_FALSE(input.is_full());
  EXPECT_TRUE(input.empty());
}

// A near side is not made to wait, because its other messages must still arrive, so it may continue to send.
TEST_F(AgentInputTest, IsBoundedEvenIfSomeoneGoesOn) {
  std::string part(1 << 20, 'x');
  for (int i = 0; i < 40; ++i) input.add(ours.get(), part, now);
  uint64_t dropped = input.dropped();
  size_t kept = 0;
  for (std::string got; !(got = read_all()).empty(); input.flush(ours.get(), now)) kept += got.size();
  EXPECT_TRUE(input.empty());
  EXPECT_GE(kept, AgentInput::kMostEver - part.size());
  EXPECT_LE(kept, AgentInput::kMostEver + part.size()) << "what was in the socket";
  EXPECT_EQ(kept + dropped, 40 * part.size());
}

TEST_F(AgentInputTest, ItIsToldThatItWaits) {
  EXPECT_FALSE(input.must_tell(now));
  (void)fill();
  EXPECT_TRUE(input.must_tell(now));
  EXPECT_FALSE(input.must_tell(now += 999ms));
  EXPECT_TRUE(input.must_tell(now += 1ms)) << "a near side that has just come must learn it, too";
  while (!read_all().empty()) input.flush(ours.get(), now);
  EXPECT_TRUE(input.must_tell(now));
  EXPECT_FALSE(input.must_tell(now += 1h));
}

TEST_F(AgentInputTest, IsDroppedAtOnceIfTheAgentHasEnded) {
  (void)fill();
  agent.reset();
  input.flush(ours.get(), now);
  EXPECT_TRUE(input.empty());
  EXPECT_EQ(input.dropped(), 0u) << "it did not refuse to read";
}

}  // namespace
}  // namespace bottle::session
