#include "base/text/json.h"

#include <gtest/gtest.h>

namespace bottle {
namespace {

TEST(Json, IsReadLikeNlohmannReadsIt) {
  for (const char* text : {"null", "7", "-7", "1.5", "18446744073709551615", "\"a\\u00e9\"", "[]", "{}",
                           R"({"a":[1,{"b":[true,null]},"x"],"c":{"d":{}}})", " [ [ ] , { } ] ", "\n\t\r true", "false",
                           "\xef\xbb\xbf 0"}) {
    auto read = parse_json(text);
    ASSERT_TRUE(read) << text;
    EXPECT_EQ(*read, nlohmann::json::parse(text));
  }
}

TEST(Json, InvalidJsonIsRefused) {
  for (const char* text : {"", " ", "x", "-", "\xef\xbb", "{", "[1,]", "{\"a\"}", "nul", "1 2", "\"\xff\"",
                           "{\"a\":1,\"a\":1}", "[[],[{\"a\":1,\"b\":2,\"a\":3}]]"})
    EXPECT_FALSE(parse_json(text)) << text;
}

TEST(Json, DeeplyNestedJsonIsRefused) {
  auto nested = [](size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_TRUE(parse_json(nested(32)));
  EXPECT_EQ(parse_json(nested(33)).error().code, Code::limit);
  EXPECT_EQ(parse_json(nested(1'000'000)).error().code, Code::limit);
  EXPECT_TRUE(parse_json("{\"a\":" + nested(3) + "}", 4));
  EXPECT_FALSE(parse_json("{\"a\":" + nested(4) + "}", 4));
}

// With nlohmann's callback, this would take an hour.
TEST(Json, ManySmallObjectsAreReadInLinearTime) {
  std::string text = "[{}";
  for (int i = 0; i < 500'000; ++i) text += ",{}";
  auto read = parse_json(text + "]");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->size(), 500'001u);
}

TEST(Utf8, AcceptsExactlyWhatRfc3629Accepts) {
  for (const char* good : {"", "a", "\xc3\xa9", "\xed\x9f\xbf", "\xee\x80\x80", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"})
    EXPECT_TRUE(is_utf8(good)) << good;
  for (const char* bad : {"caf\xe9", "\x80", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
                          "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xc3", "\xe2\x82", "\xc3(", "a\xff"})
    EXPECT_FALSE(is_utf8(bad)) << bad;
}

}  // namespace
}  // namespace bottle
