// Tests that configuration files are understood as the real git understands them, and that only data is taken from
// them.
#include "git/settings.h"

#include "base/files/file.h"
#include "git/git_test.h"

namespace bottle::git {
namespace {

class Configuration : public Repositories {
 protected:
  // Returns "name\nvalue" or "name" for each setting, as `git config --list --null` shows them.
  std::string as_git(const std::string& text) {
    put(root + "/config", text);
    return sh("git config --file " + root + "/config --no-includes --null --list | tr '\\0' '|' || true");
  }
  static std::string ours(const std::string& text) {
    auto settings = parse_config(text);
    if (!settings) return settings.error().what;
    std::string out;
    for (const auto& [name, value] : *settings) out += name + (value ? "\n" + *value : "") + "|";
    return out;
  }
};

TEST_F(Configuration, IsParsedLikeGitParsesIt) {
  for (const std::string text :
       {"", "k = v\n", "[core]\n", "[core]\n\tbare\n\tfileMode = false\n", "[a \"B.c\"]k=v", "[A.B]\nK = v ; note\n",
        "[a]\nk = \"  quoted # not a note \" then  two   spaces  # note\n", "[a]\r\nk = v\r\n",
        "[a]\nk = one\\\n  two\\tthree\\n\\\"four\\\"\n", "\xef\xbb\xbf[a]\nk=v\n",
        "[a] k = 1\n[b \"x\\\"y\\\\z\"] k = 2\n", "# note\n; note\n[a]\n k =\n l = \"\"\n",
        "[include]\npath = /etc/passwd\n[a]\nk = v\n"})
    EXPECT_EQ(ours(text), as_git(text)) << text;
  for (const std::string text : {"[a\n", "[a b]\n", "[a \"b]\n", "[]\n", "[a]\nk v\n", "[a]\nk = \"v\n",
                                 "[a]\nk = \\x\n", "[a]\n1k = v\n", "[a]\nk ; note\n", "[a \"b\" ]\n"}) {
    EXPECT_FALSE(parse_config(text)) << text;
    as_git(text);
    EXPECT_NE(std::system(("git config --file " + root + "/config --list >/dev/null 2>&1").c_str()), 0) << text;
  }
}

TEST_F(Configuration, OnlyDataIsTaken) {
  make_repository();
  put(repo + "/.git/config",
      "[core]\n\tautocrlf = input\n\tfileMode = false\n\tfsmonitor = touch owned\n\thooksPath = hooks\n\teditor = vi\n"
      "\tsshCommand = ssh\n\tpager = less\n\talternateRefsCommand = touch owned\n\tattributesFile = x\n\teol = "
      "\"lf\\nx\"\n"
      "\texcludesFile = relative\n[filter \"x\"]\n\tclean = touch owned\n[user]\n\tname = Ada\n\tsigningKey = x\n"
      "[include]\n\tpath = more\n[remote \"o\"]\n\turl = https://example.org/x\n\tpromisor = true\n\tuploadpack = "
      "touch owned\n");
  put(repo + "/.git/more", "[core]\n\tautocrlf = true\n[user]\n\temail = x@example.org\n");
  Beneath directory = *Beneath::open(repo + "/.git");
  auto settings = settings_of(directory, directory);
  ASSERT_TRUE(settings) << settings.error().what;
  EXPECT_EQ(settings->lines(), "[core]\n\tautocrlf = \"input\"\n[core]\n\tfilemode = \"false\"\n");
  EXPECT_EQ(settings->name, "Ada");
  EXPECT_EQ(settings->email, "");
  EXPECT_TRUE(settings->partial);
}

TEST_F(Configuration, TheOperatorsOwnAppliesWithItsConditions) {
  set_operators_settings(
      "[user]\n\tname = Ada\n\temail = ada@example.org\n[core]\n\tautocrlf = input\n\teditor = vi\n"
      "[includeIf \"gitdir:" +
      root +
      "/work/\"]\n\tpath = work\n"
      "[includeIf \"onbranch:release/\"]\n\tpath = " +
      root +
      "/release\n"
      "[includeIf \"hasconfig:remote.*.url:https://*.example.com/**\"]\n\tpath = client\n");
  put(root + "/work", "[user]\n\temail = ada@work.example.org\n");
  put(root + "/release", "[user]\n\tname = Release\n");
  put(root + "/client", "[user]\n\temail = ada@client.example.com\n");
  auto plain = operators_settings(read_operators_configuration(), {root + "/x/.git", "refs/heads/main", {}});
  EXPECT_EQ(plain.name + " " + plain.email, "Ada ada@example.org");
  EXPECT_EQ(plain.lines(), "[core]\n\tautocrlf = \"input\"\n");
  EXPECT_EQ(operators_settings(read_operators_configuration(), {root + "/work/x/.git", "refs/heads/main", {}}).email,
            "ada@work.example.org");
  EXPECT_EQ(operators_settings(read_operators_configuration(), {root + "/x/.git", "refs/heads/release/1", {}}).name,
            "Release");
  EXPECT_EQ(
      operators_settings(read_operators_configuration(), {root + "/x/.git", "", {"https://git.example.com/a/b.git"}})
          .email,
      "ada@client.example.com");
  EXPECT_EQ(
      operators_settings(read_operators_configuration(), {root + "/x/.git", "", {"https://git.example.com.evil.org/a"}})
          .email,
      "ada@example.org");
}

// Compares with what git includes in directories of one character each.
TEST_F(Configuration, BracketsInAPatternMeanWhatTheyMeanForGit) {
  const std::vector<std::string> patterns = {"[a-c]",
                                             "[A-Z]",
                                             "[A]",
                                             "[a]",
                                             "[!a]",
                                             "[^a-z]",
                                             "[]a]",
                                             "[!]a]",
                                             "[a-]",
                                             "[-a]",
                                             "[\\]]",
                                             "[\\\\]",
                                             "[a\\-z]",
                                             "[!-\\]]",
                                             "[[:alpha:]]",
                                             "[[:upper:]]",
                                             "[[:lower:]]",
                                             "[[:nope:]]",
                                             "[[:alpha:]",
                                             "[[:x]",
                                             "[[:]",
                                             "[[:]a]",
                                             "[![:digit:]]",
                                             "[[:digit:]-z]",
                                             "[a",
                                             "[",
                                             "[a-\\z]",
                                             "[[-a]",
                                             "[Z-a]",
                                             "[z-a]",
                                             "[[:punct:]]",
                                             "[[:xdigit:]_]",
                                             "[[:alnum:]]",
                                             "[[:graph:]]",
                                             "[[:space:]]",
                                             "[[:print:]]",
                                             "\\A",
                                             "\\a",
                                             "A",
                                             "?",
                                             "[[::]]",
                                             "[a-[:digit:]]",
                                             "***/[a]",
                                             "[[:blank:]]",
                                             "[[:cntrl:]]",
                                             "[:alpha:]",
                                             "[!!]",
                                             "[^^]"};
  std::string config;
  for (bool ignore_case : {false, true})
    for (size_t i = 0; i < patterns.size(); ++i) {
      std::string key = std::string(ignore_case ? "i" : "c") + std::to_string(i), quoted;
      for (char c : patterns[i]) quoted += c == '\\' ? "\\\\" : std::string(1, c);
      config += "[includeIf \"gitdir" + std::string(ignore_case ? "/i" : "") + ":" + quoted +
                "/.git\"]\n\tpath = " + root + "/" + key + "\n";
      put(root + "/" + key, "[p]\n\t" + key + "\n");
    }
  set_operators_settings(config);
  for (char name : std::string_view("aAmZz5-]\\![:_ ^")) {
    std::string at = root + "/repositories/" + name;
    put(at + "/.git/HEAD", "ref: refs/heads/main\n");
    fs::create_directories(at + "/.git/refs");
    fs::create_directories(at + "/.git/objects");
    std::string said = sh("cd '" + at + "'; GIT_CONFIG_GLOBAL=" + root + "/gitconfig git config --name-only --list");
    for (bool ignore_case : {false, true})
      for (size_t i = 0; i < patterns.size(); ++i) {
        std::string key = "p." + std::string(ignore_case ? "i" : "c") + std::to_string(i);
        bool included = ("\n" + said + "\n").find("\n" + key + "\n") != std::string::npos;
        EXPECT_EQ(matches("**/" + patterns[i] + "/.git", at + "/.git", ignore_case), included)
            << patterns[i] << " " << name << " " << ignore_case;
      }
  }
}

TEST(Patterns, MatchLikeThoseOfGit) {
  for (auto [pattern, text] : {std::pair{"**/work/**", "/home/me/work/x/.git"},
                               {"/home/*/x", "/home/me/x"},
                               {"**", "a/b"},
                               {"a/**/b", "a/b"},
                               {"a/**/b", "a/x/y/b"},
                               {"a?[b-d]*", "axcyz"},
                               {"[!a]", "b"},
                               {"\\*", "*"},
                               {"foo*", "foo"},
                               {"", ""}})
    EXPECT_TRUE(matches(pattern, text)) << pattern << " " << text;
  for (auto [pattern, text] : {std::pair{"/home/*/x", "/home/me/you/x"},
                               {"*", "a/b"},
                               {"a/**/b", "ab"},
                               {"?", "/"},
                               {"[!a]", "a"},
                               {"**/work/**", "/home/me/workx/.git"},
                               {"a", "A"},
                               {"foo", "foobar"}})
    EXPECT_FALSE(matches(pattern, text)) << pattern << " " << text;
  EXPECT_TRUE(matches("/A/b*", "/a/BC", true));
  EXPECT_FALSE(matches("a\\", "a\\")) << "nothing follows the backslash";
}

TEST(Patterns, MatchFilesLikeThoseOfGitignore) {
  EXPECT_TRUE(is_named("dist/", "dist/a"));
  EXPECT_TRUE(is_named("dist/", "sub/dist/a/b"));
  EXPECT_FALSE(is_named("dist/", "dist"));
  EXPECT_TRUE(is_named(".env", "sub/.env"));
  EXPECT_FALSE(is_named("/.env", "sub/.env"));
  EXPECT_TRUE(is_named("config/*.local", "config/a.local"));
  EXPECT_FALSE(is_named("config/*.local", "x/config/a.local"));
  EXPECT_FALSE(is_named("", "a"));
}

}  // namespace
}  // namespace bottle::git
