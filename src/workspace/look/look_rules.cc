// The table of names that something runs or obeys without a person naming them. It is a table and not code, so that
// it can be reviewed line by line. Names are compared as the most lenient file system compares them, because an
// agent's work may be checked out on macOS or Windows, where ".ENVRC" is ".envrc".
//
// Rules are looked up by their last part, because a tree may have a million paths: a path costs a few searches in a
// map, and only rules with a star in that part are tried one by one.
#include "workspace/look/look_rules.h"

#include <map>
#include <set>
#include <span>
#include <vector>

#include "base/text/path_parts.h"
#include "workspace/files/paths.h"

namespace bottle::workspace {
namespace {

struct Row {
  std::string_view names;  // lower case; `*` matches anything in a name, and a final slash matches everything below
  std::string_view why;    // shown after "path: "
};

// The table leaves out files that run only when a person names them (just, Taskfile, Rakefile, docker-compose), files
// that only list dependencies (requirements.txt, go.mod, lock files), and settings that are only data (.editorconfig,
// .dockerignore, .git-blame-ignore-revs, .clang-format).
constexpr Row kTable[] = {
    // These take effect when a person enters the directory.
    {".envrc .env .autoenv .autoenv.zsh .rvmrc", "a shell with direnv, autoenv, dotenv or rvm runs it on cd"},
    {"flake.nix shell.nix default.nix devenv.nix devbox.json", "nix runs it when you open a shell in this directory"},
    {"mise.toml .mise.toml mise.*.toml .mise.*.toml .mise/ .config/mise/ .config/mise.toml .mise-tasks/ mise-tasks/ "
     ".rtx.toml",
     "mise runs its templates and hooks on cd"},
    {".tool-versions .tool-versions.*", "it tells asdf and mise which programs to run"},
    {".bashrc .bash_profile .bash_login .bash_logout .bash_aliases .profile .zshrc .zprofile .zshenv .zlogin .kshrc "
     ".inputrc .config/fish/ .ssh/ .config/git/ .gitconfig",
     "a shell, ssh or git reads it if this is a home directory, or if files of one include it"},
    {".ripgreprc", "ripgrep takes options from it, which can name a program"},

    // These take effect when a person opens it in an editor.
    {".vscode/ .vscode-server/ *.code-workspace .theia/ .vs/ *.suo", "the editor runs its tasks and settings"},
    {".idea/ .run/ .fleet/ *.iml *.ipr *.iws", "the IDE runs its tasks and settings"},
    {".zed/ .helix/ .nova/ *.sublime-project *.sublime-workspace .kateproject .kateproject.json .lapce/",
     "the editor runs its tasks and settings"},
    {".exrc .nvimrc .nvim.lua .vimrc .gvimrc .lvimrc .vim/ .nvim/ .vimspector.json .lvim/ .neoconf.json "
     "coc-settings.json "
     "_vimrc _exrc",
     "vim runs it"},
    {".dir-locals.el .dir-locals-2.el .emacs .emacs.d/ .projectile", "emacs runs it"},
    {".devcontainer/ .devcontainer.json .gitpod.yml .gitpod.dockerfile .replit replit.nix .codesandbox/ .stackblitzrc "
     ".idx/",
     "it defines the development container"},
    {".ycm_extra_conf.py .luarc.json .luarc.jsonc omnisharp.json hie.yaml analysis_options.yaml",
     "the editor's language server runs it"},
    {"*.desktop", "a file manager runs what it names"},
    {"project.godot", "the Godot editor runs the project's tools"},

    // These are read by agents.
    {".mcp.json mcp.json .mcp/", "agents start the programs that it names"},
    {"claude.md claude.local.md agents.md agents.override.md agent.md gemini.md qwen.md warp.md .claude/ .claude.json "
     ".codex/ "
     ".agents/ .gemini/ .qwen/ .opencode/ opencode.json opencode.jsonc .cursor/ .cursorrules .windsurf/ .windsurfrules "
     ".clinerules .clinerules/ .roo/ .roorules .kiro/ .continue/ .junie/ .amazonq/ .trae/ .factory/ .augment/ "
     ".goosehints "
     ".aider.conf.yml .aider.model.settings.yml .rules copilot-instructions.md .github/instructions/ .github/prompts/ "
     ".github/agents/ .github/chatmodes/ .github/hooks/ .github/skills/",
     "an agent that you start in this directory follows it"},
    {".bottle/", "bottle reads it"},

    // These are read by git and its hooks.
    {".gitmodules", "it tells git where to fetch from"},
    {".gitattributes", "it tells git which filters to use"},
    {".lfsconfig", "it tells git where to send large files, perhaps with your credentials"},
    {".husky/ .githooks/ .git-hooks/ .hooks/ .huskyrc .huskyrc.* .pre-commit-config.yaml .pre-commit-hooks.yaml "
     "lefthook.yml lefthook.yaml lefthook.toml lefthook.json .lefthook.yml .lefthook.yaml .lefthook.toml "
     ".lefthook.json "
     "lefthook-local.* .lefthook-local.* .lefthook/ .lefthook-local/ .config/lefthook.* .overcommit.yml .overcommit/ "
     ".simple-git-hooks.* .lintstagedrc .lintstagedrc.* captainhook.json grumphp.yml .captain/ commitlint.config.* "
     ".commitlintrc .commitlintrc.*",
     "it is a git hook, or names one: it runs on commit"},
    {".hg/ .jj/ .svn/ .bzr/ .fslckout _fossil_",
     "the directory of another version control system, which can name programs to run"},

    // These take effect when a person installs, builds or tests; sorted by language.
    {".npmrc .yarnrc .yarnrc.yml .yarnrc.yaml pnpm-workspace.yaml bunfig.toml .pnpmrc",
     "it tells the package manager where packages come from and which scripts to run"},
    {".pnpmfile.cjs .pnpmfile.mjs pnpmfile.js .yarn/", "the package manager runs it"},
    {"binding.gyp", "npm runs its commands on install"},
    {"node_modules/ .pnp.cjs .pnp.loader.mjs", "the project's tools, and editors, run what is in it"},
    {"*.config.js *.config.cjs *.config.mjs *.config.ts *.config.mts *.config.cts .*rc.js .*rc.cjs .*rc.mjs .*rc.ts "
     ".eslintrc .eslintrc.* .prettierrc .prettierrc.* .babelrc .babelrc.* .postcssrc .postcssrc.* .stylelintrc "
     ".stylelintrc.* .mocharc.* .swcrc .nycrc .nycrc.* karma.conf.* gulpfile.* gruntfile.* .eleventy.js "
     "jest.config.json "
     "jest-preset.* vitest.workspace.* .remarkrc .remarkrc.* .textlintrc .textlintrc.*",
     "a linter, formatter, bundler or test runner runs it, in editors too"},
    {"pyproject.toml setup.py setup.cfg hatch_build.py",
     "pip runs what it names on install; tests and editors read it"},
    {"conftest.py pytest.ini .pytest.ini tox.ini noxfile.py .coveragerc", "a test run begins with it"},
    {"sitecustomize.py usercustomize.py *.pth *.egg-link .pdbrc pyvenv.cfg", "python runs it when it starts"},
    {"*.pyc *.pyo", "python may run it instead of the source beside it"},
    {".venv/ venv/ .direnv/", "an environment whose programs come before the system's"},
    {"pylintrc .pylintrc pylintrc.toml .pylintrc.toml mypy.ini .mypy.ini .flake8",
     "the linter runs what it names, in editors too"},
    {".ipython/ .jupyter/ ipython_config.py ipython_kernel_config.py jupyter_*_config.py jupyter_*_config.json conf.py "
     "uv.toml poetry.toml",
     "python's tools run it, or take their settings from it"},
    {"gemfile gems.rb *.gemspec .gemrc .bundle/ .irbrc .pryrc .rspec .rubocop.yml .simplecov .solargraph.yml podfile "
     "dangerfile",
     "ruby's tools run it"},
    {"build.rs .cargo/ rust-toolchain rust-toolchain.toml", "cargo runs what it says, and rust-analyzer starts cargo"},
    {".golangci.yml .golangci.yaml .golangci.toml .golangci.json", "the linter loads the plugins that it names"},
    {".mvn/ mvnw mvnw.cmd", "maven runs or reads it on every call"},
    {"gradlew gradlew.bat gradle/wrapper/ gradle.properties gradle-daemon-jvm.properties init.gradle init.gradle.kts "
     "settings.gradle settings.gradle.kts build.gradle build.gradle.kts buildsrc/ *.gradle *.gradle.kts",
     "gradle runs it, and IDEs start gradle when they open the project"},
    {"*.sbt .sbtopts .jvmopts .sbtrc project/build.properties project/*.scala build.sc build.mill project.clj deps.edn",
     "the build tool runs it, and editors start the build tool"},
    {"nuget.config .nuget/ directory.build.props directory.build.targets directory.packages.props directory.build.rsp "
     "msbuild.rsp *.csproj *.fsproj *.vbproj *.vcxproj *.proj *.props *.targets global.json before.*.sln.targets "
     "after.*.sln.targets",
     "MSBuild runs its targets, and IDEs start MSBuild when they open the project"},
    {"cmakelists.txt *.cmake cmakepresets.json cmakeuserpresets.json meson.build makefile gnumakefile makefile.pl "
     "build.pl",
     "IDEs and installers run it to learn about the project"},
    {".bazelrc .bazeliskrc .bazelversion workspace workspace.bazel module.bazel tools/bazel .bazelproject .buckconfig "
     ".buckconfig.local",
     "bazel or buck reads it on every call"},
    {"package.swift *.xcscheme *.xcconfig *.pbxproj", "Xcode and swift run it or what it names"},
    {"mix.exs .iex.exs .formatter.exs rebar.config rebar.config.script build.zig build.zig.zon dub.json dub.sdl "
     "config.nims "
     "*.nims *.nimble .ghci setup.hs setup.lhs .ocamlinit .rprofile .renviron .rdata *.rproj .octaverc .latexmkrc "
     "latexmkrc "
     "startup.jl .busted .proverc",
     "the language's tools run it when they start, in editors too"},
    {"phpunit.xml phpunit.xml.dist .php-cs-fixer.php .php-cs-fixer.dist.php .php_cs phpstan.neon phpstan.neon.dist "
     "psalm.xml "
     "psalm.xml.dist rector.php .user.ini pint.json",
     "php's tools run it, in editors too"},
    {".gdbinit .gdbearlyinit .lldbinit *-gdb.py *-gdb.gdb *-gdb.scm .cgdb/", "the debugger runs it"},
    {".terraform/ .terraform.lock.hcl ansible.cfg .chef/", "the tool runs the plugins that it holds or names"},

    // These run in continuous integration as soon as they are pushed.
    {".github/workflows/ .github/actions/ .forgejo/workflows/ .gitea/workflows/ action.yml action.yaml .gitlab-ci.yml "
     ".gitlab-ci.yaml .gitlab/ .travis.yml .circleci/ jenkinsfile jenkinsfile.* azure-pipelines.yml "
     "azure-pipelines.yaml "
     "azure-pipelines.*.yml azure-pipelines-*.yml .azure-pipelines/ .azuredevops/ .buildkite/ bitbucket-pipelines.yml "
     ".drone.yml .drone.star .drone.jsonnet .woodpecker.yml .woodpecker.yaml .woodpecker/ appveyor.yml .appveyor.yml "
     ".cirrus.yml .cirrus.star .semaphore/ cloudbuild.yaml cloudbuild.yml cloudbuild.json buildspec.yml buildspec.yaml "
     ".teamcity/ .builds/ .build.yml codefresh.yml .codefresh/ .tekton/ .harness/ .screwdriver.yaml wercker.yml "
     "netlify.toml vercel.json render.yaml fly.toml amplify.yml .readthedocs.yml .readthedocs.yaml .zuul.yaml .zuul.d/ "
     "screwdriver.yaml .testing-farm.yaml .packit.yaml",
     "it runs in CI, or where the project is deployed, once it is pushed"},
};

// These files often forbid something, so that more is allowed without them.
constexpr Row kTableOfRemoved[] = {
    {".npmrc .yarnrc .yarnrc.yml .yarnrc.yaml pnpm-workspace.yaml bunfig.toml .pnpmrc .pnpmfile.cjs .pnpmfile.mjs",
     "removed: without it, the package manager may run more scripts, or take packages from elsewhere"},
    {"nuget.config .cargo/config .cargo/config.toml uv.toml .bundle/config .mvn/settings.xml pip.conf",
     "removed: without it, packages may come from elsewhere"},
    {".gitattributes", "removed: without it, git applies no filters, which may have encrypted files"},
    {".claude/settings.json .claude/settings.local.json .codex/config.toml .gemini/settings.json .qwen/settings.json "
     ".cursor/cli.json opencode.json opencode.jsonc .bottle/",
     "removed: without it, an agent may be allowed to do more"},
};

struct Pattern {
  std::vector<std::string_view> parts;
  bool below = false;
  std::string_view why;
};

// Holds the patterns by the last part of their names. Those with a star in it are in a separate list.
struct Patterns {
  std::multimap<std::string_view, Pattern> exact;
  std::vector<Pattern> globs;
  std::set<std::string_view> first_halves;  // of rules with two parts; no rule has more

  explicit Patterns(std::span<const Row> table) {
    for (const Row& row : table)
      for (std::string_view rest = row.names; !rest.empty();) {
        size_t end = std::min(rest.find(' '), rest.size());
        add(rest.substr(0, end), row.why);
        rest.remove_prefix(std::min(end + 1, rest.size()));
      }
  }

  void add(std::string_view text, std::string_view why) {
    Pattern pattern{{}, text.ends_with('/'), why};
    if (pattern.below) text.remove_suffix(1);
    for (size_t from = 0;;) {
      size_t slash = text.find('/', from);
      pattern.parts.push_back(text.substr(from, slash == text.npos ? slash : slash - from));
      if (slash == text.npos) break;
      from = slash + 1;
    }
    if (pattern.parts.size() > 1) first_halves.insert(pattern.parts[0]);
    if (pattern.parts.back().find('*') == text.npos) exact.emplace(pattern.parts.back(), pattern);
    else globs.push_back(pattern);
  }
};

const Patterns& table() {
  // The patterns are made at the first use, because most commands never need them.
  static const Patterns patterns(kTable);
  return patterns;
}

const Patterns& table_of_removed() {
  static const Patterns patterns(kTableOfRemoved);
  return patterns;
}

// Matches a glob in which `*` stands for anything. It goes back to the last star only, so the time is at most the
// product of the two lengths.
bool matches(std::string_view glob, std::string_view text) {
  if (glob.back() != '*' && (text.empty() || glob.back() != text.back())) return false;  // most comparisons end here
  size_t g = 0, t = 0, star = glob.npos, from = 0;
  while (t < text.size()) {
    // A star first stands for nothing, and for one character more each time the rest does not match.
    if (g < glob.size() && glob[g] == '*') star = g++, from = t;
    else if (g < glob.size() && glob[g] == text[t]) ++g, ++t;
    else if (star != glob.npos) g = star + 1, t = ++from;
    else return false;
  }
  while (g < glob.size() && glob[g] == '*') ++g;
  return g == glob.size();
}

// Returns whether the pattern's parts before the last match the names before `at`.
bool leads_there(const Pattern& pattern, const std::vector<std::string>& names, size_t at) {
  size_t before = pattern.parts.size() - 1;
  if (before > at) return false;
  for (size_t i = 0; i < before; ++i)
    if (!matches(pattern.parts[i], names[at - before + i])) return false;
  return true;
}

// Returns the reason of the first rule that covers this path, or an empty string.
std::string_view reason_in(const Patterns& patterns, std::string_view path, bool directory) {
  auto names = split_path(path);
  for (auto& name : names) name = folded_name(name);
  // Each component can be the last part of a rule: a rule for a directory covers everything below it.
  for (size_t i = 0; i < names.size(); ++i) {
    bool last = i + 1 == names.size();
    auto [from, to] = patterns.exact.equal_range(names[i]);
    for (auto it = from; it != to; ++it) {
      // A rule for a directory needs something below it, or a link or a submodule that may have.
      bool here = it->second.below ? !last || directory : last;
      if (here && leads_there(it->second, names, i)) return it->second.why;
    }
  }
  // Rules with a star have no slash at their end, so only the last name can match.
  for (const Pattern& pattern : patterns.globs)
    if (matches(pattern.parts.back(), names.back()) && leads_there(pattern, names, names.size() - 1))
      return pattern.why;
  return {};
}

struct Fold {
  std::string_view from, to;
};

// Full case folding into ASCII (Unicode, CaseFolding.txt), as APFS does it.
constexpr Fold kFolds[] = {{"\u017f", "s"},   {"\u212a", "k"},  {"\u00df", "ss"}, {"\u1e9e", "ss"},
                           {"\ufb00", "ff"},  {"\ufb01", "fi"}, {"\ufb02", "fl"}, {"\ufb03", "ffi"},
                           {"\ufb04", "ffl"}, {"\ufb05", "st"}, {"\ufb06", "st"}};

}  // namespace

std::string folded_name(std::string_view component) {
  std::string out;
  for (size_t i = 0; i < component.size();) {
    std::string_view rest = component.substr(i);
    if (rest[0] >= 0 && rest[0] < 0x7f) {
      out += rest[0] >= 'A' && rest[0] <= 'Z' ? static_cast<char>(rest[0] + 32) : rest[0];
      ++i;
      continue;
    }
    // HFS+ ignores U+200B–200F, U+202A–202E, U+2060–206F and U+FEFF.
    if (rest.starts_with("\xe2\x80") || rest.starts_with("\xe2\x81") || rest.starts_with("\xef\xbb\xbf")) {
      i += std::min<size_t>(3, rest.size());
      continue;
    }
    const Fold* fold = nullptr;
    for (const Fold& each : kFolds)
      if (rest.starts_with(each.from)) fold = &each;
    out += fold ? fold->to : rest.substr(0, 1);
    i += fold ? fold->from.size() : 1;
  }
  return out;
}

std::string folded_path(std::string_view path) {
  std::string out;
  for (const auto& part : split_path(path)) out += (out.empty() ? "" : "/") + folded_name(part);
  return out;
}

bool is_first_half(std::string_view folded_name) { return table().first_halves.contains(folded_name); }

std::string_view reason_to_look(std::string_view path, bool directory) { return reason_in(table(), path, directory); }

std::string_view reason_if_removed(std::string_view path) { return reason_in(table_of_removed(), path, false); }

Content content_of(std::string_view path) {
  std::string name = folded_name(name_in(path));
  // pnpm reads the other two names as well.
  if (name == "package.json" || name == "package.json5" || name == "package.yaml") return Content::npm;
  if (name == "composer.json") return Content::composer;
  if (name == "cargo.toml") return Content::cargo;
  return Content::none;
}

}  // namespace bottle::workspace
