#include "session/near/far_words.h"

#include <gtest/gtest.h>

namespace bottle::session {
namespace {

using nlohmann::json;

TEST(FarWords, WhatIsExpectedStays) {
  json said = {{"bottle", "far"}, {"uid", 1000}, {"engine", {{"runtimes", {"runc", "runsc"}}, {"rootless", false}}}, {"images", json::array()}, {"new", {1, 2}}};
  EXPECT_EQ(far_words(said.dump()), said);
}

TEST(FarWords, AMemberOfAnotherTypeIsNotThere) {
  json heard = far_words(R"({"event":["running"],"exit":"7","uid":-1,"images":[1,"a"],"receipt":{"left":"all","confirmed":1},"engine":7,"what":"x"})");
  EXPECT_EQ(heard, (json{{"receipt", json::object()}, {"what", "x"}}));
  EXPECT_EQ(heard.value("event", ""), "");
  EXPECT_EQ(heard.value("exit", 125), 125);
}

TEST(FarWords, WhatIsNoObjectIsNothing) {
  for (const char* text : {"", "[]", "7", "{", "\"x\"", "{\"a\":1} {\"b\":2}"}) EXPECT_TRUE(far_words(text).is_null()) << text;
  EXPECT_TRUE(far_words("{\"a\":" + std::string(100000, '[') + std::string(100000, ']') + "}").is_null());
}

TEST(FarWords, NothingWritesOnATerminal) {
  EXPECT_EQ(far_words("{\"what\":\"a\\u001b[2Jb\"}")["what"].get<std::string>().find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace bottle::session
