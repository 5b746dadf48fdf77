#include "base/text/json_lines.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/files/file.h"

namespace bottle {
namespace {

TEST(JsonLines, KeepsOnlyObjectsAndEscapesControlCharacters) {
  std::string path = ::testing::TempDir() + "/json_lines." + std::to_string(::getpid());
  {
    auto lines = JsonLines::create(path, 1000, 60);
    ASSERT_TRUE(lines);
    std::string text = "{\"a\":\"\\u001b[2J\xc3\xa9\"}\nnot json\n[1]\n{\"long\":\"" + std::string(100, 'x') +
                       "\"}\n{\"b\":1}\n{\"no end\":1}";
    for (size_t at = 0; at < text.size(); at += 7) ASSERT_TRUE(lines->feed(std::string_view(text).substr(at, 7)));
    EXPECT_EQ(*read_file(path), "{\"a\":\"\\u001b[2J\\u00e9\"}\n{\"b\":1}\n");
    auto more = lines->feed(std::string(1000, '\n'));
    ASSERT_FALSE(more);
    EXPECT_EQ(more.error().code, Code::limit);
  }
  ::unlink(path.c_str());
}

TEST(JsonLines, ADeeplyNestedLineIsLeftOut) {
  std::string path = ::testing::TempDir() + "/json_lines." + std::to_string(::getpid());
  constexpr size_t kDeep = 500'000;
  auto lines = JsonLines::create(path, 4 << 20, 2 << 20);
  ASSERT_TRUE(lines);
  ASSERT_TRUE(lines->feed("{\"a\":" + std::string(kDeep, '[') + std::string(kDeep, ']') + "}\n{\"b\":[[1]]}\n"));
  EXPECT_EQ(*read_file(path), "{\"b\":[[1]]}\n");
  ::unlink(path.c_str());
}

// An agent can write anything into its transcript.
TEST(JsonLines, ALineOfManyObjectsIsReadInLinearTime) {
  std::string path = ::testing::TempDir() + "/json_lines." + std::to_string(::getpid());
  auto lines = JsonLines::create(path, 4 << 20, 2 << 20);
  ASSERT_TRUE(lines);
  std::string text = "{\"a\":[{}";
  for (int i = 0; i < 500'000; ++i) text += ",{}";
  ASSERT_TRUE(lines->feed(text + "]}\n"));
  EXPECT_EQ(read_file(path)->size(), text.size() + 3);
  ::unlink(path.c_str());
}

TEST(JsonLines, AcceptsOnlyPlainFileNames) {
  for (const char* name : {"3f2a-77.jsonl", "a", "rollout-2026.jsonl"}) EXPECT_TRUE(is_plain_name(name)) << name;
  for (const std::string& name : {std::string(""), std::string(".."), std::string(".x"), std::string("a/b"),
                                  std::string("a\nb"), std::string(101, 'a')})
    EXPECT_FALSE(is_plain_name(name)) << name;
}

}  // namespace
}  // namespace bottle
