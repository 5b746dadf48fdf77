#include "workspace/look/look.h"

#include <gtest/gtest.h>

#include "workspace/look/look_content.h"

namespace bottle::workspace {
namespace {

using Changed = Look::Changed;
constexpr auto kLink = Changed::Is::link;

// Returns the lines for these changes. `links` are the links that existed before.
std::vector<std::string> lines(std::vector<Changed> changes, std::map<std::string, std::string> links = {},
                               const std::vector<std::string>& unchanged = {}) {
  Look look(links);
  for (const auto& change : changes)
    if (change.is == kLink) links[change.path] = change.target;
  Look::Tree tree{std::move(changes), {}, std::move(links), [&](const auto& use) {
                    for (const auto& path : unchanged) use(path);
                  }};
  look.take(tree);
  return look.lines();
}

bool is_a_reason(const std::string& path) { return !reason_to_look(path).empty(); }

TEST(LookRules, FilesThatRunUnaskedHaveAReason) {
  for (const char* path : {".envrc",
                           "a/b/.envrc",
                           ".VSCode/tasks.json",
                           "x/.vscode/y/z",
                           "my.code-workspace",
                           "CLAUDE.md",
                           "sub/AGENTS.md",
                           "GEMINI.md",
                           ".cursorrules",
                           ".lfsconfig",
                           ".mvn/extensions.xml",
                           ".circleci/config.yml",
                           "mise.toml",
                           ".mise.local.toml",
                           "lefthook.yml",
                           "lefthook-local.yml",
                           "conftest.py",
                           "tests/conftest.py",
                           "setup.py",
                           "sitecustomize.py",
                           "src/usercustomize.py",
                           "evil.pth",
                           "binding.gyp",
                           "Jenkinsfile",
                           ".travis.yml",
                           "azure-pipelines.yml",
                           ".buildkite/pipeline.yml",
                           "gradlew",
                           "gradle/wrapper/gradle-wrapper.jar",
                           "init.gradle",
                           "build.gradle.kts",
                           ".bundle/config",
                           ".gemrc",
                           ".irbrc",
                           "Gemfile",
                           "x.gemspec",
                           ".tool-versions",
                           ".pre-commit-config.yaml",
                           "eslint.config.mjs",
                           ".eslintrc.json",
                           ".prettierrc.cjs",
                           "prettier.config.js",
                           "babel.config.js",
                           "postcss.config.cjs",
                           "vitest.config.ts",
                           "jest.config.js",
                           ".vimspector.json",
                           ".zed/settings.json",
                           ".helix/languages.toml",
                           ".dir-locals.el",
                           ".lldbinit",
                           ".gdbinit",
                           ".ipython/x",
                           "pyproject.toml",
                           "tox.ini",
                           "noxfile.py",
                           ".cargo/config.toml",
                           "build.rs",
                           "rust-toolchain.toml",
                           "NuGet.config",
                           "Directory.Build.props",
                           "App.csproj",
                           "a/x.targets",
                           "Makefile",
                           "CMakeLists.txt",
                           ".github/workflows/ci.yml",
                           ".github/copilot-instructions.md",
                           ".gitlab-ci.yml",
                           ".npmrc",
                           ".yarnrc.yml",
                           ".yarn/releases/yarn.cjs",
                           ".husky/pre-commit",
                           "node_modules/.bin/tsc",
                           "a/__pycache__/x.cpython-312.pyc",
                           ".git-hooks/x",
                           ".devcontainer/devcontainer.json",
                           ".idea/workspace.xml",
                           ".hg/hgrc",
                           "tools/bazel",
                           ".terraform/providers/x",
                           ".Rprofile",
                           "flake.nix",
                           ".mcp.json",
                           ".claude/settings.json",
                           ".bottle/agents/x.md",
                           ".gitmodules",
                           ".gitattributes",
                           "x/.GITATTRIBUTES",
                           ".con\ufb01g/mise/config.toml",
                           ".v\u017fcode/tasks.json",
                           ".env\u200brc",
                           "Ma\u212aefile"})
    EXPECT_TRUE(is_a_reason(path)) << path;
}

TEST(LookRules, CodeAndDataHaveNoReason) {
  for (const char* path : {"README.md",
                           "src/main.cc",
                           "src/vscode/x",
                           "a.vscode/x",
                           "envrc",
                           ".vscode",
                           "docs/claude.mdx",
                           ".editorconfig",
                           ".gitignore",
                           ".dockerignore",
                           "Dockerfile",
                           "docker-compose.yml",
                           "go.mod",
                           "requirements.txt",
                           "justfile",
                           "Taskfile.yml",
                           ".github/ISSUE_TEMPLATE/bug.md",
                           "workflows/ci.yml",
                           "github/workflows/x.yml",
                           "a/bazel",
                           "src/config.ts",
                           "config.js",
                           "package.json",
                           "Cargo.toml",
                           ".git-blame-ignore-revs",
                           "Cargo.lock",
                           "wrapper/x.jar"})
    EXPECT_FALSE(is_a_reason(path)) << path << ": " << reason_to_look(path);
  EXPECT_FALSE(reason_to_look(".vscode", true).empty()) << "a link or a submodule";
}

TEST(Look, LinksWithinTheTreeAreFollowed) {
  using Lines = std::vector<std::string>;
  // A new link has a flagged name, wherever it leads.
  EXPECT_EQ(lines({{".vscode", kLink, "tools"}}, {}, {"tools/tasks.json"}),
            Lines({".vscode, tools/tasks.json (by the new link .vscode): the editor runs its tasks and settings"}));
  // The link is old, and the file that it leads to is new.
  EXPECT_EQ(lines({{"tools/tasks.json"}}, {{".vscode", "tools"}}),
            Lines({"tools/tasks.json (by the link .vscode): the editor runs its tasks and settings"}));
  // Links on the way: to a link, through a link, and in a case that a Mac ignores.
  for (const std::map<std::string, std::string>& links :
       {std::map<std::string, std::string>{{"sub/.vscode", "../one"}, {"one", "tools"}},
        {{".vscode", "a/b/../tools"}, {"a/tools", "../tools"}, {"a/b", "../x/y"}, {"x/tools", "../tools"}},
        {{".VSCODE", "TOOLS"}},
        {{".vscode", "./x/../tools/"}}})
    EXPECT_EQ(lines({{"tools/tasks.json"}}, links).size(), 1u) << links.begin()->second;
  // Two links make the name only together, one old and one new.
  std::map<std::string, std::string> two = {{".github", "gh"}, {"gh/workflows", "../wf"}};
  EXPECT_EQ(lines({{"wf/ci.yml"}}, two).size(), 1u);
  EXPECT_EQ(lines({{".github", kLink, "gh"}}, {{"gh/workflows", "../wf"}}, {"wf/ci.yml"}).size(), 1u);
  EXPECT_EQ(lines({{"gh/workflows", kLink, "../wf"}}, {{".github", "gh"}}, {"wf/ci.yml"}).size(), 1u);
  // Links to a file and to the whole tree.
  EXPECT_EQ(lines({{"notes.txt"}}, {{"x/.envrc", "../notes.txt"}}).size(), 1u);
  EXPECT_EQ(lines({{"tasks.json"}}, {{"x/.vscode", ".."}}).size(), 1u);
  EXPECT_EQ(lines({{"tasks.json"}}, {{".vscode", "."}}).size(), 1u);
  EXPECT_EQ(lines({{"src/x", kLink, "../lib/x"}, {"lib/x"}}, {{"other", "src"}}), Lines());
}

TEST(Look, LinksOutOfTheTreeAndInCirclesDoNotLoopForever) {
  EXPECT_EQ(lines({{"up", kLink, "../.."}}).at(0), "up → ../..: a link that points out of the tree");
  EXPECT_EQ(lines({{"a/b", kLink, "/etc"}}).at(0), "a/b → /etc: a link that points out of the tree");
  std::map<std::string, std::string> circle = {{"a", "b"}, {"b", "a"}, {"d/self", "."}, {"d/up", ".."}};
  EXPECT_EQ(lines({{"a/x"}, {"d/y"}}, circle), std::vector<std::string>());
  // The links give endless names, and one of them matters.
  std::map<std::string, std::string> many;
  std::vector<Changed> files;
  for (int i = 0; i < 3000; ++i) {
    many["l" + std::to_string(i)] = "t";
    files.push_back({"t/f" + std::to_string(i)});
    many["t/k" + std::to_string(i)] = "../l" + std::to_string(i);
  }
  auto began = std::chrono::steady_clock::now();
  EXPECT_EQ(lines(files, many).size(), 0u);
  many["t/k7/x/.vscode"] = "..";  // there is no such path
  many["u/.vscode"] = "../l17";
  auto said = lines(files, many);
  ASSERT_EQ(said.size(), 1u);
  EXPECT_TRUE(said[0].ends_with("and 2997 more: the editor runs its tasks and settings")) << said[0];
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(60));
  // Paths that branch at every step are not all followed, and the result says so.
  std::map<std::string, std::string> forks;
  for (int i = 0; i < 20000; ++i)
    forks["d/" + std::to_string(i)] = std::string(1000, '.').replace(0, 998, "x/../" + std::string(990, '/'));
  uint64_t steps = 1000;
  EXPECT_TRUE(LinkNames(forks, steps).empty() || steps == 0);
  EXPECT_EQ(steps, 0u);
}

TEST(Look, LinksThatLeaveTheTreeThroughOthersAreReported) {
  using Lines = std::vector<std::string>;
  using Links = std::map<std::string, std::string>;
  const std::string out = ": a link that points out of the tree";
  for (const std::string target : {"s/../../x", "./S//.././../x"})
    EXPECT_EQ(lines({{"a/b/s", kLink, "../../top"}, {"a/b/l", kLink, target}}), Lines({"a/b/l → " + target + out}));
  // The operator's own link leads out, either from the start or because another link changed.
  for (const std::string ext : {"/data", "../data"})
    EXPECT_EQ(lines({{"new", kLink, "ext/x"}}, {{"ext", ext}}), Lines({"new → ext/x" + out})) << ext;
  EXPECT_EQ(lines({{"a/b/s", kLink, "../../top"}}, {{"a/b/l", "s/../../x"}}), Lines({"a/b/l → s/../../x" + out}));
  // A link that led out before the session is not a finding.
  Links before = {{"ext", "/data"}, {"via", "ext/x"}, {"up", ".."}};
  EXPECT_EQ(lines({{"file"}}, before), Lines());
  EXPECT_EQ(lines({{"file"}, {"new", kLink, "file"}}, before), Lines());
  // A target is not followed to its end if too many names on its way differ only in case.
  std::vector<Changed> changes = {{"l", kLink, "ssssss/../x"}};
  for (int bits = 0; bits < 32; ++bits) {
    std::string name;
    for (int bit = 0; bit < 6; ++bit) name += bits >> bit & 1 ? 'S' : 's';
    changes.push_back({name, kLink, bits ? "c" + std::to_string(bits) + "/d" : "."});
  }
  EXPECT_EQ(lines(changes), Lines({"l → ssssss/../x" + out}));
  EXPECT_EQ(lines({{"l", kLink, "dir/../x"}}), Lines({"l → dir/../x: a link that goes up again after a name"}));
}

TEST(Look, LinksThatLeaveTheTreeThroughARepositoryBelowAreReported) {
  using Lines = std::vector<std::string>;
  using Links = std::map<std::string, std::string>;
  auto found = [](const Links& own, const Links& before, const Links& now) {
    Look look(own);
    Look::Tree tree{{}, {}, own, [](const auto&) {}};
    look.take(tree);
    look.take_below(tree, before, now);
    return look.lines();
  };
  const Lines up = {"l → sub/s/../../x: a link that points out of the tree"};
  EXPECT_EQ(found({{"l", "sub/s/../../x"}}, {}, {{"sub/s", "deep/.."}}), up);
  EXPECT_EQ(found({{"l", "sub/s/../../x"}}, {{"sub/s", "a/b"}}, {{"sub/s", "."}}), up);
  EXPECT_EQ(found({{"l", "sub/s/../../x"}}, {{"sub/s", "."}}, {{"sub/s", "./."}}), Lines()) << "it did before";
  EXPECT_EQ(found({{"l", "sub/s/../../x"}}, {}, {{"sub/t", "."}}), Lines());
  EXPECT_EQ(found({{"l", "sub/s"}}, {}, {{"sub/s", "/etc"}}), Lines{"l → sub/s: a link that points out of the tree"});
}

TEST(Look, AThousandFindingsOfOneKindDoNotHideAnother) {
  std::vector<Changed> changes = {{".envrc"}, {".mcp.json"}};
  for (int i = 0; i < 5000; ++i) changes.push_back({"deep/" + std::to_string(i) + "/.envrc"});
  Look look;
  look.take({changes, {}, {}, [](const auto&) {}});
  ASSERT_EQ(look.lines().size(), 2u);
  EXPECT_TRUE(look.lines()[0].starts_with(".envrc, deep/0/.envrc, deep/1/.envrc and 4998 more: ")) << look.lines()[0];
  EXPECT_TRUE(look.lines()[1].starts_with(".mcp.json: "));
  EXPECT_TRUE(look.is_shortened());
  EXPECT_GT(look.all().size(), 1000u);
}

TEST(Look, AForeignRepositoryInTheTreeIsFound) {
  EXPECT_EQ(lines({{"x/HEAD"}, {"x/config"}}).size(), 1u);
  EXPECT_EQ(lines({{"x/config"}}, {}, {"x/HEAD", "y/a"}).size(), 1u);
  EXPECT_EQ(lines({{"x/config"}}, {}, {"HEAD", "y/head"}).size(), 0u);
  // The rest of a repository may be elsewhere, and one without a configuration runs its hooks.
  EXPECT_EQ(lines({{"x/HEAD"}, {"x/commondir"}, {"y/config"}}).size(), 1u);
  EXPECT_EQ(lines({{"x/HEAD"}, {"x/Config.Worktree"}}).size(), 1u);
  EXPECT_EQ(lines({{"x/hooks/post-checkout"}, {"x/objects/a"}}, {}, {"x/HEAD", "x/refs/a"}).size(), 1u);
  EXPECT_EQ(lines({{"x/objects", kLink, "."}}, {}, {"x/HEAD", "x/refs/a"}).size(), 1u);
  EXPECT_EQ(lines({{"objects/a"}, {"refs/b/c"}}, {}, {"head"}).size(), 1u);
  EXPECT_EQ(lines({{"x/objects/a"}, {"y/refs/a"}}, {}, {"x/HEAD", "y/HEAD"}).size(), 0u);
  EXPECT_EQ(lines({{"x/objects/a"}, {"x/refs/a"}}, {}, {"x/y/HEAD", "HEAD"}).size(), 0u);
}

TEST(Look, NamesHaveNoEffectOnATerminal) {
  auto all = lines({{"\x1b[2J\n.envrc/.envrc"}, {"a", kLink, "/\x1b]0;x\x07\n"}});
  for (const auto& line : all)
    for (unsigned char c : line) EXPECT_GE(c, 0x20) << line;
}

TEST(LookContent, AnInstallScriptIsFoundHoweverItIsWritten) {
  auto npm = [](std::string_view text, std::string_view before = "") { return reasons_in(Content::npm, text, before); };
  EXPECT_EQ(npm(R"({"scripts": {"pre\u0069nstall": "evil"}})"),
            std::vector<std::string>{"npm runs its scripts on install: preinstall"});
  for (const char* name : {"install", "postinstall", "prepare", "prepublish", "dependencies", "PostInstall"})
    EXPECT_EQ(npm(std::string("{\"scripts\": {\"") + name + "\": \"x\"}}").size(), 1u) << name;
  EXPECT_EQ(npm("\xef\xbb\xbf{\"scripts\": {\"install\": \"x\"}}").size(), 1u);
  EXPECT_EQ(npm(R"({"scripts": {"test": "x", "build": "y"}, "dependencies": {"install": "1"}})").size(), 0u);
  EXPECT_EQ(npm(R"({"description": "\"postinstall\": run it", "simple-git-hooks": {}})").size(), 1u);
  // Text that is not JSON for bottle may be valid for another reader.
  for (const char* text : {"", "[]", "{", "{\"a\":1,}", "// x\n{}", R"({"scripts":{},"scripts":{"install":"x"}})"})
    EXPECT_EQ(npm(text).size(), text == std::string() ? 0u : 1u) << text;
  EXPECT_EQ(npm(std::string(200, '[')).size(), 1u);
  // What was there before comes from the operator.
  const char* mine = R"({"scripts": {"install": "mine"}, "version": "1"})";
  EXPECT_EQ(npm(R"({"scripts": {"install": "mine"}, "version": "2"})", mine).size(), 0u);
  EXPECT_EQ(npm(R"({"scripts": {"install": "evil"}})", mine).size(), 1u);
}

TEST(LookContent, ASettingThatIsGoneCountsAndAScriptDoesNot) {
  auto reasons = reasons_in(Content::npm, R"({"name": "a"})", R"({"pnpm": {"neverBuiltDependencies": ["x"]}})");
  ASSERT_EQ(reasons.size(), 1u);
  EXPECT_TRUE(reasons[0].ends_with("pnpm (removed)")) << reasons[0];
  EXPECT_TRUE(reasons_in(Content::npm, R"({"name": "a"})", R"({"scripts": {"postinstall": "x"}})").empty());
  EXPECT_EQ(reasons_in(Content::composer, "{}", R"({"config": {"allow-plugins": false}})").size(), 1u);
}

TEST(LookRules, ARemovedFileCountsIfItMayHaveForbiddenSomething) {
  Look look;
  look.take({.changes = {},
             .removed = {".npmrc", "sub/.NPMRC", ".claude/settings.json", ".gitattributes", "README.md", ".envrc"},
             .links = {},
             .each_unchanged = [](const auto&) {}});
  auto all = look.all();
  EXPECT_EQ(all.size(), 4u);
  for (const auto& line : all) EXPECT_NE(line.find(": removed: without it"), line.npos) << line;
}

TEST(LookContent, OtherPackageFormatsAreReadToo) {
  EXPECT_EQ(reasons_in(Content::composer, R"({"scripts": {"post-install-cmd": "x"}})", "").size(), 1u);
  EXPECT_EQ(reasons_in(Content::composer, R"({"require": {}})", "").size(), 0u);
  EXPECT_EQ(reasons_in(Content::cargo, "[package]\nname = \"a\"\nbuild = \"x.rs\"\n", "").size(), 1u);
  EXPECT_EQ(reasons_in(Content::cargo, "[package]\n\"b\\u0075ild\" = \"x.rs\"\n", "").size(), 1u);
  EXPECT_EQ(reasons_in(Content::cargo, "[lib]\nproc-macro = true\n", "").size(), 1u);
  EXPECT_EQ(reasons_in(Content::cargo, "[dependencies]\nserde = \"1\"\n", "").size(), 0u);
}

}  // namespace
}  // namespace bottle::workspace
