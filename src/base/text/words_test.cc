#include "base/text/words.h"

#include <gtest/gtest.h>

namespace bottle {
namespace {

TEST(Words, AreTrimmedAtTheirEnds) {
  EXPECT_EQ(trimmed(" \ta b\t"), "a b");
  EXPECT_EQ(trimmed("a\n"), "a\n") << "only what is named is blank";
  EXPECT_EQ(trimmed(" \n a", "\n "), "a");
  EXPECT_EQ(trimmed_end(" a\r\n", "\r\n"), " a");
  for (const char* blank : {"", " ", "\t \t"}) EXPECT_EQ(trimmed(blank), "") << blank;
}

TEST(Words, AreJoined) {
  EXPECT_EQ(joined({}), "");
  EXPECT_EQ(joined({"a"}), "a");
  EXPECT_EQ(joined({"a", "b", "c"}, " | "), "a | b | c");
}

TEST(Words, OnlyAsciiHasUpperCase) { EXPECT_EQ(upper("a-z\xc3\xa9{"), "A-Z\xc3\xa9{"); }

}  // namespace
}  // namespace bottle
