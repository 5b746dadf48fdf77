// Checks what each preset allows and refuses, with the guard's own code.
#include <gtest/gtest.h>

#include <set>

#include "app/egress/candidate.h"
#include "manifest/presets.h"

namespace bottle::app {
namespace {

Result<CandidatePolicy> policy_of(const std::string& presets) {
  auto bottle = TRY(manifest::parse_guard({"policy", "egress: {presets: [" + presets + "]}\n"}));
  wire::GuardConfig config;
  for (const auto& rule : bottle.egress.allow)
    config.egress.allow.push_back({rule.host, rule.ports, rule.methods, rule.paths, rule.inspect});
  return CandidatePolicy::make(bottle.egress, config);
}

struct Example {
  const char *preset, *method, *url;
  bool allowed;
};

constexpr Example kExamples[] = {
    {"npm", "GET", "https://registry.npmjs.org/@scope%2fname", true},
    {"npm", "GET", "https://registry.npmjs.org/left-pad/-/left-pad-1.3.0.tgz", true},
    {"npm", "POST", "https://registry.npmjs.org/-/npm/v1/security/advisories/bulk", true},
    {"npm", "PUT", "https://registry.npmjs.org/left-pad", false},
    {"npm", "PUT", "https://registry.npmjs.org/-/user/org.couchdb.user:me", false},
    {"npm", "DELETE", "https://registry.npmjs.org/left-pad/-rev/1", false},
    {"npm", "GET", "https://www.npmjs.com/", false},
    {"pypi", "GET", "https://pypi.org/simple/requests/", true},
    {"pypi", "GET", "https://pypi.org/pypi/requests/json", true},
    {"pypi", "GET", "https://files.pythonhosted.org/packages/ab/cd/requests-2.0.0-py3-none-any.whl", true},
    {"pypi", "POST", "https://upload.pypi.org/legacy/", false},
    {"pypi", "POST", "https://pypi.org/simple/requests/", false},
    {"pypi", "GET", "https://pypi.org/manage/account/", false},
    {"pypi", "GET", "https://pypi.org/simple/../manage/account/", false},
    {"crates", "GET", "https://index.crates.io/se/rd/serde", true},
    {"crates", "GET", "https://static.crates.io/crates/serde/serde-1.0.0.crate", true},
    {"crates", "GET", "https://crates.io/api/v1/crates/serde/1.0.0/download", true},
    {"crates", "PUT", "https://crates.io/api/v1/crates/new", false},
    {"crates", "DELETE", "https://crates.io/api/v1/crates/serde/1.0.0/yank", false},
    {"crates", "GET", "https://crates.io/api/v1/me", false},
    {"go", "GET", "https://proxy.golang.org/golang.org/x/net/@v/v0.1.0.zip", true},
    {"go", "GET", "https://sum.golang.org/lookup/golang.org/x/net@v0.1.0", true},
    {"go", "GET", "https://storage.googleapis.com/proxy-golang-org-prod/abc", true},
    {"go", "GET", "https://storage.googleapis.com/another-bucket/abc", false},
    {"go", "PUT", "https://storage.googleapis.com/proxy-golang-org-prod/abc", false},
    {"maven", "GET", "https://repo.maven.apache.org/maven2/junit/junit/4.13/junit-4.13.jar", true},
    {"maven", "HEAD", "https://repo1.maven.org/maven2/junit/junit/maven-metadata.xml", true},
    {"maven", "PUT", "https://repo.maven.apache.org/maven2/junit/junit/4.13/junit-4.13.jar", false},
    {"debian", "GET", "http://deb.debian.org/debian/dists/stable/InRelease", true},
    {"debian", "GET", "http://security.debian.org/debian-security/dists/stable-security/InRelease", true},
    {"debian", "GET", "https://deb.debian.org/debian/dists/stable/InRelease", true},
    {"npm", "GET", "http://registry.npmjs.org/left-pad", false},
    {"pypi", "GET", "http://pypi.org/simple/requests/", false},
    {"anthropic", "POST", "http://api.anthropic.com/v1/messages", false},
    {"github-read", "GET", "http://raw.githubusercontent.com/acme/tool/main/x", false},
    {"debian", "POST", "http://deb.debian.org/debian/x", false},
    {"debian", "GET", "http://deb.debian.org/other", false},
    {"github-read", "GET", "https://github.com/acme/tool.git/info/refs?service=git-upload-pack", true},
    {"github-read", "POST", "https://github.com/acme/tool.git/git-upload-pack", true},
    {"github-read", "POST", "https://github.com/acme/tool/git-upload-pack", true},
    {"github-read", "GET", "https://api.github.com/repos/acme/tool/issues?state=all", true},
    {"github-read", "GET", "https://codeload.github.com/acme/tool/tar.gz/main", true},
    {"github-read", "POST", "https://github.com/acme/tool.git/git-receive-pack", false},
    {"github-read", "POST", "https://github.com/acme/tool/git-upload-pack/../git-receive-pack", false},
    {"github-read", "POST", "https://github.com/acme/tool/git-receive-pack%2f..%2fgit-upload-pack", false},
    {"github-read", "POST", "https://api.github.com/repos/acme/tool/issues", false},
    {"github-read", "POST", "https://api.github.com/graphql", false},
    {"github-read", "GET", "https://api.github.com/repos/acme/tool?_method=DELETE", false},
    {"github-read", "POST", "https://uploads.github.com/repos/acme/tool/releases/1/assets", false},
    {"github-repo:acme/tool", "POST", "https://github.com/acme/tool.git/git-upload-pack", true},
    {"github-repo:acme/tool", "POST", "https://github.com/acme/tool.git/git-receive-pack", true},
    {"github-repo:acme/tool", "POST", "https://api.github.com/repos/acme/tool/pulls", true},
    {"github-repo:acme/tool", "PATCH", "https://api.github.com/repos/acme/tool/issues/7", true},
    {"github-repo:acme/tool", "GET", "https://github.com/acme/other/info/refs?service=git-upload-pack", false},
    {"github-repo:acme/tool", "POST", "https://github.com/acme/tool2/git-receive-pack", false},
    {"github-repo:acme/tool", "POST", "https://github.com/acme/tool/../other/git-receive-pack", false},
    {"github-repo:acme/tool", "GET", "https://github.com/acme/tool-evil", false},
    {"github-repo:acme/tool", "GET", "https://raw.githubusercontent.com/acme/tool-evil/main/x", false},
    {"github-repo:acme/tool", "POST", "https://github.com/acme/tool%2f..%2fevil/git-receive-pack", false},
    {"github-repo:acme/tool", "GET", "https://github.com/acme/tool/%2e%2e/evil", false},
    {"github-repo:acme/tool", "GET", "https://github.com/acme/tool/..;/evil", false},
    {"github-repo:acme/tool", "POST", "https://api.github.com/repos/acme/tool/pulls/%2e%2e/merges", false},
    {"github-repo:acme/tool", "POST", "https://api.github.com/graphql", false},
    {"github-repo:acme/tool", "POST", "https://api.github.com/repos/acme/tool/issues?_method=DELETE", false},
    {"github-repo:acme/tool", "PATCH", "https://api.github.com/repos/acme/tool", false},
    {"github-repo:acme/tool", "PUT", "https://api.github.com/repos/acme/tool/pulls/7/merge", false},
    {"github-repo:acme/tool", "DELETE", "https://api.github.com/repos/acme/tool", false},
    {"github-repo:acme/tool", "GET", "https://api.github.com/user", false},
    {"anthropic", "POST", "https://api.anthropic.com/v1/messages?beta=true", true},
    {"anthropic", "POST", "https://api.anthropic.com/v1/messages/count_tokens", true},
    {"anthropic", "GET", "https://api.anthropic.com/v1/models", true},
    {"anthropic", "POST", "https://api.anthropic.com/v1/files", false},
    {"anthropic", "POST", "https://api.anthropic.com/v1/organizations/api_keys/x", false},
    {"openai", "POST", "https://api.openai.com/v1/responses", true},
    {"openai", "POST", "https://api.openai.com/v1/chat/completions", true},
    {"openai", "GET", "https://api.openai.com/v1/models", true},
    {"openai", "POST", "https://api.openai.com/v1/files", false},
    {"openai", "DELETE", "https://api.openai.com/v1/models/x", false},
    {"gemini", "POST", "https://generativelanguage.googleapis.com/v1beta/models/m:streamGenerateContent?alt=sse", true},
    {"gemini", "GET", "https://generativelanguage.googleapis.com/v1beta/models", true},
    {"gemini", "POST", "https://generativelanguage.googleapis.com/upload/v1beta/files", false},
    {"gemini", "POST", "https://generativelanguage.googleapis.com/v1beta/tunedModels", false},
};

TEST(Presets, AllowAndRefuseAsInTheTable) {
  std::set<std::string> allowed, refused;
  std::map<std::string, CandidatePolicy> policies;
  for (const auto& example : kExamples) {
    auto found = policies.find(example.preset);
    if (found == policies.end()) {
      auto policy = policy_of(example.preset);
      ASSERT_TRUE(policy) << example.preset << ": " << policy.error().what;
      found = policies.emplace(example.preset, std::move(*policy)).first;
    }
    auto verdict = found->second.judge(example.method, example.url);
    ASSERT_TRUE(verdict) << verdict.error().what;
    std::string what = std::string(example.preset) + ": " + example.method + " " + example.url;
    EXPECT_EQ(verdict->allowed, example.allowed) << what << ": " << verdict->reason;
    EXPECT_TRUE(!verdict->allowed || verdict->preset == std::string(example.preset) + "@1") << what << verdict->preset;
    std::string name(example.preset, std::string_view(example.preset).find_first_of(":") == std::string_view::npos
                                         ? std::string_view(example.preset).size()
                                         : std::string_view(example.preset).find(':'));
    (example.allowed ? allowed : refused).insert(name);
  }
  for (const auto& preset : manifest::presets()) {
    EXPECT_TRUE(allowed.contains(std::string(preset.name))) << preset.name << " has no example that is allowed";
    EXPECT_TRUE(refused.contains(std::string(preset.name))) << preset.name << " has no example that is refused";
  }
}

TEST(Presets, HaveOnlyOneSpelling) {
  for (const char* text : {"npm", "npm@1", "github-repo:acme/tool", "github-repo:acme/tool.js@1"})
    EXPECT_TRUE(manifest::preset_rules(text)) << text;
  for (const char* text :
       {"", "np", "npm@", "npm@2", "npm@01", "npm:x", "NPM", "github-repo", "github-repo:", "github-repo:acme",
        "github-repo:acme/tool/x", "github-repo:acme/..", "github-repo:acme/*", "github-repo:*/*",
        "github-repo:acme/tool.git", "github-repo:acme/to%6fl", "github-repo:acme/tool?x", "github-repo:acme/{}"})
    EXPECT_FALSE(manifest::preset_rules(text)) << text;
}

TEST(Presets, JoinTheOperatorsOwnRules) {
  auto bottle = manifest::parse_guard(
      {"policy", "egress:\n  presets: [npm]\n  allow: [{host: registry.npmjs.org, methods: [PUT], paths: [/mine]}]\n"});
  ASSERT_TRUE(bottle) << bottle.error().what;
  EXPECT_EQ(bottle->egress.allow.size(), 3u);
  auto wrong = manifest::parse_guard({"policy", "egress:\n  presets: [npn]\n"});
  ASSERT_FALSE(wrong);
  EXPECT_NE(wrong.error().what.find("policy:2:13: presets: there is no preset 'npn'"), std::string::npos)
      << wrong.error().what;
  EXPECT_NE(wrong.error().todo.find("github-repo:OWNER/NAME"), std::string::npos) << wrong.error().todo;
}

}  // namespace
}  // namespace bottle::app
