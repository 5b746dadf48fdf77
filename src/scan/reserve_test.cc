// Checks that a steady allowance and a reserve bound the work of many blocks in the long run.
#include <gtest/gtest.h>

#include "scan/disguise_test.h"
#include "scan/rule_examples.h"

namespace bottle::scan {
namespace {

// Text that needs much work passes at first, but not for long. After some ordinary text, it passes again.
TEST(Detector, LimitsTheWorkForManyTexts) {
  constexpr size_t kSize = 32 * 1024, kSteady = kSize * Detector::kSteadyWork + Detector::kFreeSteadyWork;
  auto own = *Catalog::builtin();
  own.build();
  constexpr size_t kReserve = size_t{4} << 20;
  own.limit_steady_work(kReserve);
  std::string costly = many("DB_PASSWORD=changeme\nAPI_TOKEN=your-token-here\nSECRET_KEY=<secret>\n", kSize),
              clean = many("Some words of a text that people write, with names and numbers in it. ", kSize);
  auto scanned = [&](const std::string& text) { return Detector(&own).scan(text); };
  size_t work = scanned(costly).work, passed = 1;
  ASSERT_GT(work, kSteady + kSize);
  while (passed < 10000 && !scanned(costly).incomplete) ++passed;
  EXPECT_EQ(passed, kReserve / (work - kSteady));
  constexpr size_t kMore = 10;
  size_t more = 0;
  for (size_t i = 0; i < kMore; ++i) {
    auto result = scanned(costly);
    EXPECT_TRUE(result.incomplete);
    more += result.work;
  }
  EXPECT_LE(more, kMore * kSteady + work);
  EXPECT_FALSE(scanned(clean).incomplete) << "other text passes as before";
  size_t saved = kSteady - scanned(clean).work;
  for (size_t i = 0; i < (work - kSteady) / saved; ++i) (void)scanned(clean);
  EXPECT_FALSE(scanned(costly).incomplete);
}

Catalog steady_catalog(size_t reserve) {
  auto own = *Catalog::builtin();
  own.build();
  own.limit_steady_work(reserve);
  return own;
}

TEST(Detector, AlwaysPermitsTheWorkOfSmallTexts) {
  auto own = steady_catalog(0);
  std::string lines =
      "0098want <hex 40> multi_ack_detailed side-band-64k ofs-delta\n0032have <hex 40>\n0032have <hex 40>\n";
  std::string uuid = "<hex 8>-<hex 4>-4<hex 3>-a<hex 3>-<hex 12>",
              jwt = "eyJhbGciOiJIUzI1NiJ9.eyJ<alnum 60>.<base64url 30> ";
  std::string sums = "<hex 40>  a.tar\n<hex 40>  b.tar\n<hex 40>  c.tar\n", numbers = "[10", path = "<path d=\"M10 20";
  for (int i = 0; i < 20; ++i) numbers += ", <digits 4>", path += " C<digits 2>.5 <digits 2>,<digits 3> <digits 2>";
  for (const std::string& text :
       {lines, "[\"" + uuid + "\",\"" + uuid + "\",\"" + uuid + "\"]", sums, jwt + jwt + jwt, numbers + "]",
        path + "Z\"/>", std::string("name=Ada+<alpha 6>&mail=ada%40example.com&text=a+few+words+and+more%21+<alpha 9>"),
        many(sums, 1300), many(jwt, 1700), many(numbers, 4000)})
    EXPECT_FALSE(Detector(&own).scan(filled(text, 3)).incomplete) << text;
}

// A scan that looks at the same bytes once more does not fill the reserve.
TEST(Detector, SavesTheWorkOfABlockOnce) {
  constexpr size_t kSize = 32 * 1024, kSteady = kSize * Detector::kSteadyWork + Detector::kFreeSteadyWork;
  auto own = steady_catalog(8 << 20);
  std::string costly = many("DB_PASSWORD=changeme\nAPI_TOKEN=your-token-here\nSECRET_KEY=<secret>\n", kSize),
              clean = many("Some words of a text that people write, with names and numbers in it. ", kSize);
  size_t work = Detector(&own).scan(costly).work;
  while (!Detector(&own).scan(costly).incomplete) continue;
  for (int i = 0; i < 100; ++i) {
    (void)Detector(&own).scan_begun(clean);
    (void)Detector(&own).scan_begun_known(clean);
    (void)Detector(&own).scan_plain(clean);
    (void)Detector(&own).scan("a");
  }
  EXPECT_TRUE(Detector(&own).scan(costly).incomplete);
  size_t saved = kSteady - Detector(&own).scan(clean).work;
  for (size_t i = 0; i < (work - kSteady) / saved; ++i) (void)Detector(&own).scan(clean);
  EXPECT_FALSE(Detector(&own).scan(costly).incomplete);
}

// Work that was done counts, even if it turns out to be more than the block may take.
TEST(Detector, CountsTheWorkThatSpentTheRest) {
  constexpr size_t kSize = 32 * 1024, kSteady = kSize * Detector::kSteadyWork + Detector::kFreeSteadyWork;
  auto own = steady_catalog(0);
  auto result = Detector(&own).scan(many("API_TOKEN=your-token-here 00D 00D 00D perm- 00D 00D ", kSize));
  EXPECT_TRUE(result.incomplete);
  EXPECT_GE(result.work, kSteady - kSize);
}

// No step of a scan takes much more work than is left: neither the survey nor the search for values does all of a block
// before its work counts.
TEST(Detector, EndsASearchWhenItsWorkIsSpent) {
  constexpr size_t kSize = 32 * 1024, kSteady = kSize * Detector::kSteadyWork + Detector::kFreeSteadyWork;
  auto own = steady_catalog(0);
  for (const char* piece : {"\"D", "\"Q", "\"=5", "\"\\0", "\"0/", "=\"", "\\x", "5KA"}) {
    auto result = Detector(&own).scan(many(piece, kSize));
    EXPECT_TRUE(result.incomplete) << piece;
    EXPECT_LE(result.work, kSteady + kSteady / 20) << piece;
  }
}

// A guard adds to the reserve as time passes.
TEST(Detector, ScansAgainWhenWorkWasAddedToTheReserve) {
  constexpr size_t kSize = 32 * 1024, kReserve = 8 << 20;
  auto own = steady_catalog(kReserve);
  std::string costly = many("DB_PASSWORD=changeme\nAPI_TOKEN=your-token-here\nSECRET_KEY=<secret>\n", kSize);
  size_t work = Detector(&own).scan(costly).work, passed = 0;
  while (!Detector(&own).scan(costly).incomplete) continue;
  own.add_to_reserve(work);
  EXPECT_FALSE(Detector(&own).scan(costly).incomplete);
  own.add_to_reserve(100 * kReserve);
  while (!Detector(&own).scan(costly).incomplete) ++passed;
  EXPECT_LE(passed, kReserve / (work - kSize * Detector::kSteadyWork - Detector::kFreeSteadyWork) + 1) << "it is full";
}

}  // namespace
}  // namespace bottle::scan
