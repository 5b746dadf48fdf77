#include "base/json.h"

#include <gtest/gtest.h>

namespace bottle {
namespace {

TEST(Json, IsWhatNlohmannReads) {
  for (const char* text : {"null", "7", "-7", "1.5", "18446744073709551615", "\"a\\u00e9\"", "[]", "{}",
                           R"({"a":[1,{"b":[true,null]},"x"],"c":{"d":{}}})", " [ [ ] , { } ] "}) {
    auto read = parse_json(text);
    ASSERT_TRUE(read) << text;
    EXPECT_EQ(*read, nlohmann::json::parse(text));
  }
}

TEST(Json, WhatIsNoneIsRefused) {
  for (const char* text :
       {"", "{", "[1,]", "{\"a\"}", "nul", "1 2", "\"\xff\"", "{\"a\":1,\"a\":1}", "[[],[{\"a\":1,\"b\":2,\"a\":3}]]"})
    EXPECT_FALSE(parse_json(text)) << text;
}

TEST(Json, IsNotNestedDeeply) {
  auto nested = [](size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_TRUE(parse_json(nested(32)));
  EXPECT_EQ(parse_json(nested(33)).error().code, Code::limit);
  EXPECT_EQ(parse_json(nested(1'000'000)).error().code, Code::limit);
  EXPECT_TRUE(parse_json("{\"a\":" + nested(3) + "}", 4));
  EXPECT_FALSE(parse_json("{\"a\":" + nested(4) + "}", 4));
}

// With nlohmann's callback this takes an hour.
TEST(Json, ManySmallObjectsTakeNoTime) {
  std::string text = "[{}";
  for (int i = 0; i < 500'000; ++i) text += ",{}";
  auto read = parse_json(text + "]");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->size(), 500'001u);
}

}  // namespace
}  // namespace bottle
