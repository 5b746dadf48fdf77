#include "session/console/detach_key.h"

#include <gtest/gtest.h>

namespace bottle::session {
namespace {

using namespace std::chrono_literals;

struct Keyboard {
  DetachKey key;
  DetachKey::Time now{};
  std::string sent;
  bool detached = false;

  void type(std::string bytes) {
    detached = key.take(bytes, now);
    if (!detached) sent += bytes;
  }
  void wait(std::chrono::milliseconds time) {
    now += time;
    sent += key.release(now);
  }
};

TEST(DetachKey, DetachesOnCtrlPCtrlQ) {
  for (bool apart : {false, true}) {
    Keyboard k;
    if (apart) k.type("ab\x10"), k.wait(100ms), k.type("\x11");
    else k.type("ab\x10\x11rest");
    EXPECT_TRUE(k.detached);
    EXPECT_EQ(k.sent, apart ? "ab" : "");
  }
}

TEST(DetachKey, ACtrlPAloneIsHeldOnlyBriefly) {
  Keyboard k;
  k.type("\x10");
  EXPECT_EQ(k.key.wait_ms(k.now), 250);
  k.wait(249ms);
  EXPECT_EQ(k.sent, "");
  k.wait(1ms);
  EXPECT_EQ(k.sent, "\x10");
  EXPECT_EQ(k.key.wait_ms(k.now), -1);
}

TEST(DetachKey, DetachesEvenAfterTheCtrlPWasReleased) {
  Keyboard k;
  k.type("\x10");
  k.wait(3s);
  k.type("\x11");
  EXPECT_TRUE(k.detached);
}

TEST(DetachKey, SendsOtherKeysInTheirOrder) {
  Keyboard k;
  k.type("\x10\x10x\x11\x10");
  k.type("y\x11");
  EXPECT_FALSE(k.detached);
  EXPECT_EQ(k.sent, "\x10\x10x\x11\x10y\x11");
  k.type("\x10"), k.wait(1s), k.type("z\x11");
  EXPECT_FALSE(k.detached);
  EXPECT_EQ(k.sent, "\x10\x10x\x11\x10y\x11\x10z\x11");
}

}  // namespace
}  // namespace bottle::session
