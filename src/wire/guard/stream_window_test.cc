#include "wire/guard/stream_window.h"

#include <gtest/gtest.h>

namespace bottle::wire {
namespace {

TEST(StreamWindow, AcceptsNoMoreThanTheWindow) {
  StreamWindow window;
  EXPECT_TRUE(window.accept(std::string(kStreamWindow - 1, 'x')));
  EXPECT_FALSE(window.accept("ab"));
  EXPECT_TRUE(window.accept("a"));
  EXPECT_EQ(window.waiting().size(), kStreamWindow);
  window.passed(2);
  EXPECT_TRUE(window.accept("ab"));
  EXPECT_FALSE(window.accept("c"));
}

TEST(StreamWindow, AcceptsNothingAfterTheEnd) {
  StreamWindow window;
  EXPECT_TRUE(window.accept("last"));
  window.end();
  EXPECT_FALSE(window.accept("more"));
  EXPECT_EQ(window.waiting(), "last");
  EXPECT_FALSE(window.is_complete());
  window.passed(4);
  EXPECT_TRUE(window.is_complete());
}

TEST(StreamWindow, AcknowledgesInLargeSteps) {
  StreamWindow window;
  EXPECT_TRUE(window.accept(std::string(kStreamWindow, 'x')));
  window.passed(kStreamWindow / 4 - 1);
  EXPECT_EQ(window.to_acknowledge(), std::nullopt);
  window.passed(1);
  EXPECT_EQ(window.to_acknowledge(), kStreamWindow / 4);
  EXPECT_EQ(window.to_acknowledge(), std::nullopt);
}

TEST(StreamWindow, BytesThatAreDroppedAreNotAcknowledged) {
  StreamWindow window;
  EXPECT_TRUE(window.accept(std::string(kStreamWindow, 'x')));
  window.drop();
  EXPECT_EQ(window.waiting(), "");
  EXPECT_EQ(window.to_acknowledge(), std::nullopt);
}

TEST(StreamWindow, GivesNoCreditForBytesThatWereNotSent) {
  StreamWindow window;
  EXPECT_EQ(window.acknowledged(5), 0u);
  window.sent(kStreamWindow);
  EXPECT_EQ(window.room(), 0u);
  EXPECT_EQ(window.acknowledged(10), 10u);
  EXPECT_EQ(window.room(), 10u);
  EXPECT_EQ(window.acknowledged(UINT64_MAX), kStreamWindow - 10);
  EXPECT_EQ(window.room(), kStreamWindow);
  EXPECT_EQ(window.in_flight(), 0u);
}

}  // namespace
}  // namespace bottle::wire
