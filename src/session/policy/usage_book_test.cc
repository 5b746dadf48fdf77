#include "session/policy/usage_book.h"

#include <gtest/gtest.h>

namespace bottle::session {
namespace {

using wire::HostUsage;

TEST(UsageBook, KeepsTheLatestTotalsAndShowsModelsFirst) {
  UsageBook book;
  book.take({{{"a.test", 1, 50, 9, 0, 0, 0}, {"model.test", 1, 2, 9, 100, 10, 1'500'000}}});
  book.take({{{"a.test", 1, 51, 10, 0, 0, 0}}});
  auto shown = book.shown();
  ASSERT_EQ(shown.size(), 2u);
  EXPECT_EQ(shown[0].host, "model.test");
  EXPECT_EQ(shown[0].cost, 1.5);
  EXPECT_EQ(shown[1].requests, 51u);
  EXPECT_EQ(book.all()[1], (HostUsage{"a.test", 1, 51, 10, 0, 0, 0}));
}

TEST(UsageBook, LosesNoCountOfHostsBeyondItsLimits) {
  UsageBook book;
  book.take({{{wire::kOtherHosts, 7, 7, 0, 0, 0, 0}}});
  for (size_t i = 0; i < UsageBook::kMost + 100; ++i) book.take({{{std::to_string(i), 1, 1, 2, 0, 0, 0}}});
  uint64_t names = 0, requests = 0, bytes = 0;
  auto all = book.all();
  EXPECT_EQ(all.size(), UsageBook::kMost + 1);
  for (const auto& each : all) names += each.names, requests += each.requests, bytes += each.bytes_up;
  EXPECT_EQ(names, UsageBook::kMost + 107);
  EXPECT_EQ(requests, UsageBook::kMost + 107);
  EXPECT_EQ(bytes, 2 * (UsageBook::kMost + 100));
  EXPECT_EQ(book.shown().size(), UsageBook::kMostShown + 1);
  EXPECT_EQ(book.shown().back().host, wire::kOtherHosts);
}

TEST(UsageBook, HasALimitWhateverAGuardSends) {
  UsageBook book;
  for (size_t i = 0; i < UsageBook::kMostKept + 100; ++i) book.take({{{std::to_string(i), 1, 1, 2, 0, 0, 0}}});
  book.take({{{"0", 1, 6, 2, 0, 0, 0}}});
  uint64_t names = 0, requests = 0;
  for (const auto& each : book.all()) names += each.names, requests += each.requests;
  EXPECT_EQ(names, UsageBook::kMostKept);
  EXPECT_EQ(requests, UsageBook::kMostKept + 5) << "known hosts go on";
}

}  // namespace
}  // namespace bottle::session
