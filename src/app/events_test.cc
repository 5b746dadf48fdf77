#include <gtest/gtest.h>

#include <regex>
#include <set>

#include "base/files/file.h"
#include "wire/event.h"

namespace bottle::app {
namespace {

std::set<std::string> found(const std::string& text, const std::string& pattern) {
  std::set<std::string> names;
  std::regex regex(pattern);
  for (std::sregex_iterator it(text.begin(), text.end(), regex), end; it != end; ++it) names.insert((*it)[1]);
  return names;
}

// docs/events.md is a contract: it must contain every event of the code, and no others.
TEST(Events, MatchTheDocument) {
  std::set<std::string> said;
  for (auto name : wire::event_names()) said.emplace(name);
  said.erase("hello");  // the launcher judges it and does not print it
  auto document = read_file("docs/events.md");
  ASSERT_TRUE(document);
  size_t begin = document->find("\n## Events\n"), end = document->find("\n## The result\n");
  ASSERT_TRUE(begin < end && end != std::string::npos);
  EXPECT_EQ(said, found(document->substr(begin, end - begin), R"re(\n\| `([^`]+)`)re"));
}

// The row of each event must list all of its keys; the golden file has all of them.
TEST(Events, HaveTheKeysOfTheDocument) {
  auto document = read_file("docs/events.md");
  ASSERT_TRUE(document);
  for (auto name : wire::event_names()) {
    if (name == "hello") continue;
    size_t row = document->find("\n| `" + std::string(name) + "` |"), last = document->find("\n", row + 1);
    ASSERT_NE(row, std::string::npos) << name;
    std::string keys = document->substr(document->rfind(" | ", last) + 2, last - document->rfind(" | ", last) - 2);
    auto golden = read_file("tests/golden/wire/event-" + std::string(name) + ".json");
    ASSERT_TRUE(golden) << name;
    std::set<std::string> has = found(*golden, "\n  \"([^\"]+)\":");
    has.erase("event");
    EXPECT_EQ(found(keys, "`([^`]+)`"), has) << name;
  }
}

}  // namespace
}  // namespace bottle::app
