#include "app/complete.h"

#include <gtest/gtest.h>

#include "app/cli.h"
#include "app/manual/manual.h"

namespace bottle::app {
namespace {

std::vector<Candidate> names(const std::string& command, const std::string& value) {
  if (value == "AGENT") return {{"dev", "bottle web"}, {"deploy", ""}, {"look", ""}};
  if (value == "SESSION") return {{command == "bottle logs" ? "finished" : "running", ""}};
  if (value == "VM") return {{"lab", "qemu"}};
  if (value == "MODE" || value == "PROVIDER" || value == "COMMAND" || value == "NAME")
    return names_here(command, value);
  return {};
}

// Returns the values, each followed by a blank, then what the shell should add.
std::string completed(const std::vector<std::string>& words) {
  int exit = 0;
  auto parser = make_parser(exit);
  Completion completion = complete(*parser, words, names);
  std::string text;
  for (const auto& candidate : completion.candidates) text += candidate.value + " ";
  return text + (completion.rest == Completion::Rest::files         ? "FILES"
                 : completion.rest == Completion::Rest::directories ? "DIRS"
                                                                    : "");
}

struct Case {
  std::vector<std::string> words;
  const char* expect;
};

class Completions : public ::testing::TestWithParam<Case> {};

TEST_P(Completions, AreTheWordsThatCanFollow) { EXPECT_EQ(completed(GetParam().words), GetParam().expect); }

INSTANTIATE_TEST_SUITE_P(
    All, Completions,
    ::testing::Values(
        Case{{"st"}, "start stop "}, Case{{"start", ""}, "dev deploy look "}, Case{{"start", "de"}, "dev deploy "},
        Case{{"start", "--he"}, "--help --headless "}, Case{{"start", "--headless", "--he"}, "--help "},
        Case{{"start", "--workspace", "c"}, "copy clone "}, Case{{"start", "--workspace=cl"}, "--workspace=clone "},
        Case{{"start", "-p", "de"}, ""}, Case{{"start", "-p", "text", "lo"}, "look "},
        Case{{"start", "-C", ""}, "DIRS"}, Case{{"start", "dev", "--", "x"}, "FILES"}, Case{{"attach", ""}, "running "},
        Case{{"logs", ""}, "finished "}, Case{{"image", ""}, "build list prune "},
        Case{{"image", "build", "c"}, "claude codex command "}, Case{{"guard", "run", "--config", ""}, "FILES"},
        Case{{"start", "--transport", ""}, "ssh mosh "}, Case{{"start", "--secrets=t"}, "--secrets=tunnel "},
        Case{{"start", "--token-via", "s"}, "stdin sendenv "}, Case{{"start", "--vm", ""}, "lab "},
        Case{{"provider", "test", "q"}, "qemu "}, Case{{"help", "sc"}, "schema scan "},
        Case{{"egress", "presets", "gi"}, "github-read github-repo:OWNER/NAME "}, Case{{"nonsense", ""}, ""},
        Case{{"list", ""}, ""}));

TEST(Completions, WithoutAnyWordAreAllCommands) {
  std::string all = completed({""});
  EXPECT_TRUE(all.starts_with("start attach ")) << all;
  EXPECT_EQ(all.find("supervise"), std::string::npos);
}

TEST(Completions, SayWhatThePagesSay) {
  int exit = 0;
  auto parser = make_parser(exit);
  auto about = [&](const std::vector<std::string>& words) {
    auto found = complete(*parser, words, names).candidates;
    return found.size() == 1 ? found[0].about : "not one candidate";
  };
  const Page& start = *find_page("start");
  EXPECT_EQ(about({"sta"}), start.summary);
  EXPECT_EQ(about({"start", "--headl"}), start.items("bottle start").at("--headless"));
  EXPECT_EQ(about({"image", "bu"}), find_page("image")->about("bottle image build"));
  EXPECT_EQ(about({"image", "--he"}), "Print this help message and exit") << "no page has it";
}

TEST(Completions, HaveNoEffectOnATerminal) {
  Completion hostile;
  hostile.candidates = {{"good", "a\x1b]0;owned\x07\xc2\x9b\ttext\nnext"}, {"ba\nd", ""}, {"b\x1b", ""}};
  EXPECT_EQ(to_lines(hostile), "good\ta\\x1b]0;owned\\x07\\u{9b}\\ttext\\nnext\n:nothing\n");
}

}  // namespace
}  // namespace bottle::app
