#include "app/manual/manual.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <set>
#include <sstream>

#include "app/cli.h"
#include "app/commands/commands.h"
#include "base/files/file.h"

namespace bottle::app {
namespace {

std::vector<CLI::App*> tree(CLI::App& app) {
  std::vector<CLI::App*> all = {&app};
  for (CLI::App* sub : app.get_subcommands([](CLI::App*) { return true; }))
    for (CLI::App* below : tree(*sub)) all.push_back(below);
  return all;
}

TEST(Manual, EveryCommandAndFlagOfTheParserIsDocumented) {
  int exit = 0;
  auto parser = make_parser(exit);
  for (CLI::App* command : tree(*parser)) {
    if (command == parser.get() || command->get_group().empty()) continue;
    std::string name = full_name(*command);
    EXPECT_NE(description(*command), "") << name << " has no description in its page";
    for (CLI::Option* option : command->get_options()) {
      if (option->check_lname("help")) continue;
      EXPECT_NE(description(*command, *option), "") << name << ": " << option->get_name(true, true);
    }
  }
}

TEST(Manual, EveryDocumentedFlagIsInTheParser) {
  int exit = 0;
  auto parser = make_parser(exit);
  std::set<std::string> sections;
  for (CLI::App* command : tree(*parser)) {
    if (command == parser.get()) continue;
    std::string name = full_name(*command);
    sections.insert(name);
    const Page* page = find_page(name.substr(7, name.find(' ', 7) - 7));
    ASSERT_TRUE(page) << name;
    for (const auto& [term, text] : page->items(name)) {
      CLI::Option* found = nullptr;
      for (CLI::Option* option : command->get_options())
        for (const std::string& own : terms_of(*option))
          if (term == own || term.starts_with(own + " ")) found = option;
      ASSERT_TRUE(found) << name << " documents " << term << ", which the parser does not have";
      if (!found->get_positional() && term.starts_with("--"))
        EXPECT_EQ(found->get_items_expected_max() > 0, term.find(' ') != std::string::npos)
            << name << " " << term << ": a value, or none?";
      EXPECT_TRUE(text.ends_with(".")) << name << " " << term;
    }
  }
  for (const Page& page : pages())
    for (const Block& block : page.blocks)
      if (block.kind == Block::Kind::heading && block.text.starts_with("bottle "))
        EXPECT_TRUE(sections.contains(block.text))
            << page.title << " has a section on " << block.text << ", which is not a command";
}

TEST(Manual, EveryCommandHasAPageOfItsName) {
  for (const CommandEntry& command : commands()) {
    const Page* page = find_page(command.name);
    ASSERT_TRUE(page);
    EXPECT_EQ(page->title, std::string("bottle ") + command.name);
    EXPECT_TRUE(page->blocks.front().text.starts_with(page->title)) << "its usage begins with its name";
  }
}

TEST(Manual, EveryCommandIsInOneGroupOfHelp) {
  std::vector<std::string> grouped, all;
  for (const Group& group : groups())
    for (const Page* page : group.pages) grouped.push_back(page->name);
  for (const CommandEntry& command : commands()) all.push_back(command.name);
  EXPECT_EQ(grouped, all) << "the section Commands of bottle.md lists each command once, in the order of commands.cc";
}

TEST(Manual, HelpShowsTheGroups) {
  std::string text = overview(80, false);
  EXPECT_NE(text.find("\n\nRun agents\n  start                   run an agent in a bottle\n"), std::string::npos)
      << text;
  EXPECT_NE(text.find("\n\nUse other machines\n  remote "), std::string::npos) << text;
  EXPECT_NE(overview(80, true).find("\033[1mLook at sessions\033[0m\n"), std::string::npos);
}

TEST(Manual, TheDocumentationMatchesThePages) {
  std::string path = "docs/commands.md", text = commands_markdown();
  if (std::getenv("BOTTLE_UPDATE_GOLDEN")) ASSERT_TRUE(write_file_atomically(path, text, 0644));
  auto there = read_file(path);
  ASSERT_TRUE(there) << there.error().what;
  EXPECT_EQ(text, *there) << "run app_test once with BOTTLE_UPDATE_GOLDEN=1";
}

// Returns the lines in the shell blocks of a page that begin with the program's name, without their comments.
std::vector<std::string> commands_in(const std::string& markdown) {
  std::vector<std::string> found;
  bool in_shell = false;
  std::istringstream lines(markdown);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("```")) in_shell = line == "```sh";
    else if (in_shell && line.starts_with("bottle ")) found.push_back(line.substr(0, line.find("  #")));
  }
  return found;
}

CLI::App* subcommand_named(CLI::App& app, const std::string& name) {
  for (CLI::App* sub : app.get_subcommands([](CLI::App*) { return true; }))
    if (sub->get_name() == name) return sub;
  return nullptr;
}

TEST(Manual, CommandsInTheDocumentationExist) {
  int exit = 0, seen = 0;
  auto parser = make_parser(exit);
  for (const char* page :
       {"README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/bench.md", "docs/events.md", "docs/guard.md",
        "docs/images.md", "docs/manifest.md", "docs/plan.md", "docs/providers.md", "docs/remote.md", "docs/ssh.md"}) {
    auto text = read_file(page);
    ASSERT_TRUE(text) << text.error().what;
    for (const std::string& line : commands_in(*text)) {
      ++seen;
      CLI::App* command = parser.get();
      std::istringstream words(line.substr(7));
      for (std::string word; words >> word;) {
        if (word.starts_with("-")) {
          EXPECT_NE(command->get_option_no_throw(word.substr(0, word.find('='))), nullptr) << page << ": " << line;
        } else if (CLI::App* sub = subcommand_named(*command, word)) {
          command = sub;
        } else if (command == parser.get() || command->get_require_subcommand_min() > 0) {
          ADD_FAILURE() << page << ": " << line << ": there is no command " << word;
        }
        if (word.find_first_of("\"'|>") != std::string::npos) break;  // the rest is text, or for the shell
      }
    }
  }
  EXPECT_GT(seen, 10);
}

constexpr const char* kPage =
    "# bottle x: do x\n\n    bottle x FILE\n\nSays `-a` and [the guard](guard.md),\ngoes on.\n\n## "
    "Options\n\n- `-p`, `--prompt TEXT`: what to\n  do.\n"
    "\n## bottle x y\n\nDoes y.\n\n- `--z`: zed.\n\n    .code\\n\n";

TEST(Manual, PagesAreParsedAsDocumented) {
  Page page = parse_page("x", kPage);
  EXPECT_EQ(page.title, "bottle x");
  EXPECT_EQ(page.summary, "do x");
  EXPECT_EQ(page.items("bottle x"),
            (std::map<std::string, std::string>{{"-p", "what to do."}, {"--prompt TEXT", "what to do."}}));
  EXPECT_EQ(page.items("bottle x y"), (std::map<std::string, std::string>{{"--z", "zed."}}));
  EXPECT_EQ(page.about("bottle x y"), "Does y.");
}

TEST(Manual, TerminalsGetPlainText) {
  std::string text = to_terminal(parse_page("x", kPage), 80, false);
  EXPECT_EQ(text,
            "bottle x: do x\n\n  bottle x FILE\n\nSays -a and docs/guard.md, goes on.\n\nOptions\n\n  -p, "
            "--prompt TEXT       what to do.\n"
            "\nbottle x y\n\nDoes y.\n\n  --z                     zed.\n\n  .code\\n\n");
}

TEST(Manual, RoffIsEscaped) {
  std::string text = to_roff(parse_page("x", kPage));
  EXPECT_NE(text.find("\\fB\\-a\\fR"), std::string::npos) << text;
  EXPECT_NE(text.find("\n\\&.code\\en\n"), std::string::npos)
      << "a line that begins with a dot is not a request, and a backslash not an escape\n"
      << text;
  EXPECT_NE(text.find(".SH DESCRIPTION\nSays"), std::string::npos) << text;
}

}  // namespace
}  // namespace bottle::app
