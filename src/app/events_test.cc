#include <gtest/gtest.h>

#include <filesystem>
#include <regex>
#include <set>

#include "base/file.h"

namespace bottle::app {
namespace {

std::set<std::string> found(const std::string& text, const std::string& pattern) {
  std::set<std::string> names;
  std::regex regex(pattern);
  for (std::sregex_iterator it(text.begin(), text.end(), regex), end; it != end; ++it) names.insert((*it)[1]);
  return names;
}

// docs/events.md is a contract: what the code says is in it, and it promises nothing else.
TEST(Events, AreThoseOfTheDocument) {
  std::set<std::string> said;
  for (const auto& entry : std::filesystem::recursive_directory_iterator("src")) {
    std::string path = entry.path();
    if ((path.ends_with(".cc") || path.ends_with(".h")) && !path.ends_with("_test.cc"))
      said.merge(found(*read_file(path), R"re(\{"event", "([^"]+)"\})re"));
  }
  ASSERT_TRUE(said.contains("running"));
  said.erase("hello");  // the launcher judges it, and tells nobody
  auto document = read_file("docs/events.md");
  ASSERT_TRUE(document);
  size_t begin = document->find("\n## Events\n"), end = document->find("\n## The result\n");
  ASSERT_TRUE(begin < end && end != std::string::npos);
  EXPECT_EQ(said, found(document->substr(begin, end - begin), R"re(\n\| `([^`]+)`)re"));
}

}  // namespace
}  // namespace bottle::app
