#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "base/ids.h"

namespace bottle {
namespace {

Result<int> half(int n) {
  if (n % 2) return fail(Code::invalid, "odd");
  return n / 2;
}
Result<int> quarter(int n) { return TRY(half(TRY(half(n)))); }

TEST(Result, TryPassesValuesAndErrors) {
  EXPECT_EQ(quarter(8).value(), 2);
  EXPECT_EQ(quarter(6).error().what, "odd");
}

TEST(Error, DuringPrefixesWhatWasBeingDone) {
  EXPECT_EQ((Error{Code::invalid, "odd"}.during("halving 3").what), "halving 3: odd");
}

TEST(File, WriteIsAtomicAndReadIsBounded) {
  std::string path = ::testing::TempDir() + "/bottle-" + random_hex(4);
  ASSERT_TRUE(write_file_atomically(path, "hello"));
  EXPECT_EQ(read_file(path).value(), "hello");
  EXPECT_EQ(read_file(path, 2).error().code, Code::limit);
  ::unlink(path.c_str());
  EXPECT_EQ(read_file(path).error().code, Code::not_found);
}

}  // namespace
}  // namespace bottle
