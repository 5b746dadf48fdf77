// Checks that a guard that runs for hours does not lack the work that its scans need.
#include "guard/core/scanner.h"

#include <gtest/gtest.h>

#include "scan/disguise_test.h"

namespace bottle::guard {
namespace {

TEST(Scanner, TimeAddsToTheReserveOfWork) {
  auto scanner = Scanner::make(Secrets(), wire::GuardConfig{});
  ASSERT_TRUE(scanner) << scanner.error().what;
  const int64_t now = 1000;
  (*scanner)->add_work_until(now);
  (*scanner)->catalog().limit_steady_work(8 << 20);
  std::string costly = scan::many("DB_PASSWORD=changeme\nAPI_TOKEN=your-token-here\n", 32 * 1024);
  auto is_refused = [&](int64_t at) {
    (*scanner)->add_work_until(at);
    return scan::Detector(&(*scanner)->catalog()).scan(costly).incomplete;
  };
  while (!is_refused(now)) continue;
  EXPECT_TRUE(is_refused(now));
  EXPECT_TRUE(is_refused(now - 500)) << "the clock was set";
  EXPECT_FALSE(is_refused(now + 60'000));
}

}  // namespace
}  // namespace bottle::guard
