// Tests which tunnels end when the kernel holds too much for all of them, and how often they are measured.
#include "guard/budget/tunnel_memory.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace bottle::guard {
namespace {

struct Tunnel {
  Tunnel(TunnelMemory& all, size_t size)
      : holds(size), share(all, [this] { return ++measured, holds; }, [this] { ++ended; }) {}
  size_t holds;
  int measured = 0, ended = 0;
  TunnelMemory::Share share;
};

TEST(TunnelMemory, TheLargestEnds) {
  TunnelMemory all(100);
  Tunnel largest(all, 60), other(all, 30), last(all, 20);
  for (Tunnel* each : {&largest, &other}) each->share.update(0);
  EXPECT_EQ(largest.ended, 0);
  EXPECT_TRUE(all.is_crowded());
  last.share.update(1);
  EXPECT_EQ(largest.ended, 1);
  EXPECT_EQ(other.ended + last.ended, 0);
  // What has ended no longer counts.
  largest.share.update(2);
  last.holds = 60;
  last.share.update(3);
  EXPECT_EQ(largest.ended, 1);
  EXPECT_EQ(other.ended + last.ended, 0);
}

TEST(TunnelMemory, TheOneThatCarriesMayBeTheLargest) {
  TunnelMemory all(100);
  Tunnel other(all, 50), largest(all, 60);
  other.share.update(0);
  largest.share.update(0);
  EXPECT_EQ(other.ended, 0);
  EXPECT_EQ(largest.ended, 1);
}

TEST(TunnelMemory, AsManyEndAsNecessary) {
  TunnelMemory all(100);
  Tunnel first(all, 40), second(all, 30), third(all, 20), last(all, 90);
  for (Tunnel* each : {&first, &second, &third}) each->share.update(0);
  last.holds = 35;
  last.share.update(0);
  EXPECT_EQ(first.ended, 1);
  last.holds = 60;
  last.share.update(0);
  EXPECT_EQ(last.ended, 1);
  EXPECT_EQ(second.ended + third.ended, 0);
}

TEST(TunnelMemory, ATunnelWhosePeerHasReadIsMeasuredAgainAndStays) {
  TunnelMemory all(100);
  Tunnel reading(all, 80), other(all, 15), last(all, 10);
  reading.share.update(0);
  other.share.update(0);
  reading.holds = 5;  // nothing tells the guard
  last.share.update(TunnelMemory::kFreshMs);
  EXPECT_EQ(reading.ended + other.ended + last.ended, 0);
  EXPECT_FALSE(all.is_crowded());
}

TEST(TunnelMemory, ATunnelThatIsGoneDoesNotCount) {
  TunnelMemory all(100);
  auto gone = std::make_unique<Tunnel>(all, 90);
  gone->share.update(0);
  gone.reset();
  Tunnel other(all, 90);
  other.share.update(0);
  EXPECT_EQ(other.ended, 0);
}

TEST(TunnelMemory, AFloodOfUpdatesMeasuresTheOthersRarely) {
  constexpr int kTunnels = 1000, kMs = 200;
  TunnelMemory all(kTunnels * 10);
  std::vector<std::unique_ptr<Tunnel>> others(kTunnels);
  for (auto& each : others) {
    each = std::make_unique<Tunnel>(all, 10);
    each->share.update(0);
  }
  Tunnel busy(all, 0);
  int before = 0, after = 0;
  for (auto& each : others) before += each->measured;
  for (int64_t now = TunnelMemory::kFreshMs; now < TunnelMemory::kFreshMs + kMs; ++now)
    for (int i = 0; i < 10; ++i) {
      // The others shrink by as little as possible and grow again, so that a measurement never settles anything.
      for (auto& each : others) each->holds = each->holds == 10 ? 9 : 10;
      busy.holds = 1;
      busy.share.update(now);
    }
  for (auto& each : others) after += each->measured;
  EXPECT_LE(after - before, kTunnels * (kMs / TunnelMemory::kFreshMs + 1));
}

}  // namespace
}  // namespace bottle::guard
