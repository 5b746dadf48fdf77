#include "app/cli.h"

#include <gtest/gtest.h>

namespace bottle::app {
namespace {

std::string said(std::vector<std::string> words) {
  words.insert(words.begin(), "bottle");
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  int status = run(static_cast<int>(argv.size()), argv.data());
  std::string out = testing::internal::GetCapturedStdout(), err = testing::internal::GetCapturedStderr();
  return std::to_string(status) + " " + err;
}

// A script's unset variable must not mean "on this machine" or "the newest session".
TEST(Cli, AnEmptyValueIsRefused) {
  const std::string tail = ": the value is empty\n        see `bottle help start`\n";
  EXPECT_EQ(said({"start", "shell", "--dry-run", "--remote", ""}), "125 bottle: bottle start: --remote" + tail);
  EXPECT_EQ(said({"start", "shell", "--dry-run", "--vm", ""}), "125 bottle: bottle start: --vm" + tail);
  EXPECT_EQ(said({"start", "", "--dry-run"}), "125 bottle: bottle start: agent" + tail);
  EXPECT_TRUE(said({"logs", ""}).starts_with("125 bottle: bottle logs: session: the value is empty\n"));
}

}  // namespace
}  // namespace bottle::app
