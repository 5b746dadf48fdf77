#include "plan/plan_test.h"

#include <algorithm>
#include <cstdlib>
#include <regex>

#include "base/files/file.h"
#include "wire/start/plan.h"

namespace bottle::plan {
namespace {

using nlohmann::json;

Result<Plan> read(const std::string& text) { return wire::decode<Plan>(text, wire::From::ours); }

constexpr const char* kWeb = R"(
bottles:
  web:
    packages: [git]
    env: {STAGE: dev, NPM_READ: "${NPM_READ_TOKEN}", DB_PASS: "?Database password"}
    secrets:
      github: {from: env:GITHUB_TOKEN, hosts: [api.github.com], header: "Authorization: Bearer {}"}
    egress:
      allow: [packages.example.org, {host: api.github.com, methods: [GET], paths: ["/repos/me/**"]}]
      extra_ca: [~/ca.pem]
    ssh: [{host: git.example.net, port: 2222, identity_file: ~/.ssh/id, host_key: "ssh-ed25519 AAAA"}]
agents:
  reviewer: {bottle: web, skills: [review], prompt: "Review only."}
)";

Facts web_facts() {
  Facts f = facts();
  f.environment["NPM_READ_TOKEN"] = "npm-value";
  f.environment["GITHUB_TOKEN"] = "github-value";
  return f;
}

// Otherwise, the rule for the ssh port would hide the one for the pattern.
TEST(Plan, AnSshHostChangesNoRule) {
  auto plan = make(parsed(R"(
bottles:
  web:
    egress: {allow: ["*.example.org"]}
    ssh: [{host: git, hostname: git.example.org, host_key: "ssh-ed25519 AAAA"}]
agents:
  dev: {bottle: web, provider: shell}
)"),
                   {.agent = "dev"}, web_facts());
  ASSERT_TRUE(plan) << plan.error().what;
  ASSERT_EQ(plan->egress.allow.size(), 1u);
  EXPECT_EQ(plan->egress.allow[0].host, "*.example.org");
  EXPECT_EQ(plan->ssh.size(), 1u);
}

TEST(Plan, NamesScannedSecretsWithoutTheirValues) {
  auto plan = make(parsed(R"(
bottles:
  web:
    env: {KEY: {value: "${NPM_READ_TOKEN}", secret: true}, WORD: {value: "?Which word", secret: true}}
    secrets: {asked: {from: "?Which one", expose: true, env: ASKED}}
    scan: {secrets: [~/prod.env], rules: [/etc/acme.rules]}
    egress: {on_injection: block, allow: [{host: a.example.org, on_injection: warn}]}
agents:
  dev: {bottle: web, provider: shell}
)"),
                   {.agent = "dev"}, web_facts());
  ASSERT_TRUE(plan) << plan.error().what;
  EXPECT_EQ(plan->scan.secrets, std::vector<std::string>{"/home/me/prod.env"});
  std::string shown = joined(explain(*plan));
  for (const char* text : {"KEY (from NPM_READ_TOKEN) (must not leave)", "WORD (bottle asks) (must not leave)",
                           "for the values of /home/me/prod.env", "by the rules of /etc/acme.rules",
                           "if an answer instructs the agent: block", "a.example.org  instructions in answers: warn"})
    EXPECT_NE(shown.find(text), std::string::npos) << text << "\n" << shown;
  EXPECT_EQ(shown.find("npm-value"), std::string::npos);
  ASSERT_EQ(plan->secrets.size(), 1u) << "the guard looks for an exposed value that is asked for, too";
  EXPECT_EQ(plan->secrets[0].name, "asked");
  auto again = read(wire::encode(*plan));
  ASSERT_TRUE(again) << again.error().what;
  EXPECT_EQ(joined(explain(*again)), shown);
  auto literal =
      make(parsed("bottles: {w: {env: {A: {value: b, secret: true}}}}\nagents: {a: {bottle: w, provider: shell}}"),
           {.agent = "a"}, web_facts());
  ASSERT_FALSE(literal);
  EXPECT_NE(literal.error().what.find("env.A is marked as secret, but its value is written in the manifest"),
            std::string::npos);
}

// Compares with tests/golden/NAME; BOTTLE_UPDATE_GOLDEN=1 writes it instead. Ignores the tags of images, because they
// change with the recipe.
void expect_golden(const std::string& name, std::string text) {
  std::string path = "tests/golden/" + name;
  static const std::regex tag("(bottle-agent-[a-z]+:)[0-9a-f]{12}");
  text = std::regex_replace(text, tag, "$1<recipe>");
  if (std::getenv("BOTTLE_UPDATE_GOLDEN")) ASSERT_TRUE(write_file_atomically(path, text, 0644));
  auto golden = read_file(path);
  ASSERT_TRUE(golden) << golden.error().what;
  EXPECT_EQ(text, *golden) << "if the change is meant, run the tests once with BOTTLE_UPDATE_GOLDEN=1";
}

struct Golden {
  const char *name, *yaml, *agent, *prompt;
  bool headless;
};

class GoldenPlans : public ::testing::TestWithParam<Golden> {};

TEST_P(GoldenPlans, MatchTheirGoldenFilesAndCanBeDecoded) {
  const Golden& g = GetParam();
  Facts f = web_facts();
  f.environment["OPENAI_API_KEY"] = "openai-value";
  auto plan = make(*g.yaml ? parsed(g.yaml) : manifest::builtin(),
                   {.agent = g.agent, .prompt = g.prompt, .headless = g.headless}, f);
  ASSERT_TRUE(plan) << plan.error().what;
  std::string text = wire::encode(*plan, wire::Layout::pretty);
  expect_golden(std::string(g.name) + ".json", text);
  expect_golden(std::string(g.name) + ".txt", joined(explain(*plan)));
  auto back = read(text);
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_EQ(wire::encode(*back), wire::encode(*plan));
  for (const auto& [name, value] : f.environment)
    if (name != "HOME") {
      EXPECT_EQ(text.find(value), std::string::npos) << "the plan holds the value of " << name;
      EXPECT_EQ(joined(explain(*plan)).find(value), std::string::npos);
    }
}

INSTANTIATE_TEST_SUITE_P(Plans, GoldenPlans,
                         ::testing::Values(Golden{"reviewer", kWeb, "reviewer", "", false},
                                           Golden{"claude-headless", "", "claude", "Say hello", true},
                                           Golden{"codex", "", "codex", "fix it", false},
                                           Golden{"shell", "", "shell", "", false}),
                         [](const auto& info) {
                           std::string name = info.param.name;
                           std::erase(name, '-');
                           return name;
                         });

TEST(Json, EveryKeyIsRequiredAndTyped) {
  auto plan = make(parsed(kWeb), {.agent = "reviewer"}, web_facts());
  ASSERT_TRUE(plan);
  json whole = json::parse(wire::encode(*plan));
  for (const auto& [key, value] : whole.items()) {
    json less = whole;
    less.erase(key);
    EXPECT_FALSE(read(less.dump())) << key;
    json wrong = whole;
    wrong[key] = value.is_object() || value.is_array() ? json(7) : json::array();
    EXPECT_FALSE(read(wrong.dump())) << key;
  }
  whole["secrets"][0]["source"]["kind"] = "guess";
  EXPECT_FALSE(read(whole.dump()));
}

TEST(Json, EveryFieldSurvives) {
  Plan p;
  p.session = "s", p.agent = "a", p.bottle = "b", p.provider = "command";
  p.image = {"ref", Image::Recipe::dockerfile, "/d", "command", {"git"}};
  p.runtime = "runsc";
  p.resources = {123456789012345, 0.5, 7};
  p.workspace_mode = manifest::WorkspaceMode::bind;
  p.workspace = "/w", p.workdir = "/elsewhere", p.uid = 7, p.gid = 8;
  p.env = {{"A", {Source::Kind::file, "/f"}}, {"B", {Source::Kind::cmd, "c"}}};
  p.secrets = {{"n", {Source::Kind::prompt, "q"}, {"h"}, "X: {}", "ph", "E", true}};
  p.egress.allow = {{"h", {1, 2}, {"GET"}, {"/p"}, true}};
  p.egress.lan = {{"l", "t:1", {"GET"}, {"/q"}}};
  p.egress.on_secret = policy::OnSecret::warn, p.egress.hosts = {{"h", {"203.0.113.1"}}},
  p.egress.parent_proxy = "http://p:1", p.egress.extra_ca = {"/ca"}, p.egress.resolver = "203.0.113.2";
  p.ssh = {{"h", "/i", "hn", "u", "k", 23}};
  p.skills = {"/s"}, p.system_prompt = "sys", p.prompt = "äöü\n\"", p.command = {"x", "y"}, p.headless = true,
  p.warnings = {"w"};
  auto back = read(wire::encode(p));
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_EQ(wire::encode(*back), wire::encode(p));
  EXPECT_EQ(back->resources.memory, 123456789012345u);
  EXPECT_EQ(back->secrets[0].source.kind, Source::Kind::prompt);
  EXPECT_TRUE(back->secrets[0].optional);
  EXPECT_EQ(back->ssh[0].known_host_key, "k");
  EXPECT_EQ(back->workdir, "/elsewhere");
  EXPECT_EQ(back->egress.allow[0].ports, (std::vector<uint16_t>{1, 2}));
  EXPECT_EQ(back->gid, 8u);
}

struct Refusal {
  const char *yaml, *what, *todo;
  Options options = {.agent = "a"};
};

TEST(Make, ALoginAtAParentProxyIsASecretWithoutHosts) {
  auto plan =
      make(parsed("bottles: {w: {egress: {parent_proxy: \"http://p:1\", parent_proxy_login: \"file:~/login\"}}}\n"
                  "agents: {a: {bottle: w}}"),
           {.agent = "a"}, facts());
  ASSERT_TRUE(plan) << plan.error().what;
  auto login = std::ranges::find(plan->secrets, kParentLogin, &Secret::name);
  ASSERT_NE(login, plan->secrets.end());
  EXPECT_EQ(login->source.kind, Source::Kind::file);
  EXPECT_TRUE(login->hosts.empty() && login->placeholder.empty() && login->env.empty());
  std::string shown = joined(explain(*plan));
  EXPECT_NE(shown.find("through http://p:1 with a login (from a file)"), shown.npos) << shown;
}

TEST(Make, LimitsAreInThePlanAndInItsExplanation) {
  auto plan = make(parsed("bottles: {w: {egress: {limit: {requests: 5k, cost: 20}, prices: {m: {input: 1, output: 2}}, "
                          "allow: [{host: a.org, limit: {bytes_up: 10m, names: 2}}]}}}\n"
                          "agents: {a: {bottle: w}}"),
                   {.agent = "a"}, facts());
  ASSERT_TRUE(plan) << plan.error().what;
  std::string shown = joined(explain(*plan));
  EXPECT_NE(shown.find("a.org  at most 10485760 bytes up, 2 names\n"), shown.npos) << shown;
  EXPECT_NE(shown.find("in all at most 5000 requests, an estimated cost of 20.00\n"), shown.npos) << shown;
}

class Refusals : public ::testing::TestWithParam<Refusal> {};

TEST_P(Refusals, SayWhatIsWrongAndWhatToDo) {
  auto plan = make(parsed(GetParam().yaml), GetParam().options, facts());
  ASSERT_FALSE(plan) << GetParam().yaml;
  EXPECT_NE(plan.error().what.find(GetParam().what), std::string::npos) << plan.error().what;
  EXPECT_NE(plan.error().todo.find(GetParam().todo), std::string::npos) << plan.error().todo;
}

INSTANTIATE_TEST_SUITE_P(
    Make, Refusals,
    ::testing::Values(
        Refusal{"agents: {review: {}}", "there is no agent 'reveiw'", "'review'", {.agent = "reveiw"}},
        Refusal{"agents: {review: {}}",
                "there is no agent 'claude'",
                "the built-in agents exist only without a manifest, so define 'claude' under `agents:`",
                {.agent = "claude"}},
        Refusal{"bottles:\n  w:\n    env: {X: \"${GONE}\"}\nagents: {a: {bottle: w}}",
                "p.yaml:3:14: env.X: the variable GONE is not set", "export GONE"},
        Refusal{"bottles: {w: {egress: {limit: {cost: 5}}}}\nagents: {a: {bottle: w}}",
                "the cost is limited, but nothing says what the models cost",
                "egress.prices",
                {.agent = "a"}},
        Refusal{"bottles: {w: {egress: {parent_proxy: \"http://me:pw@p:1\"}}}\nagents: {a: {bottle: w}}",
                "egress.parent_proxy contains a password", "parent_proxy_login"},
        Refusal{"bottles: {w: {egress: {parent_proxy_login: env:X}}}\nagents: {a: {bottle: w}}",
                "parent_proxy_login needs egress.parent_proxy", "add parent_proxy"},
        Refusal{"bottles: {w: {egress: {parent_proxy: \"http://p:1\", parent_proxy_login: env:GONE}}}\n"
                "agents: {a: {bottle: w}}",
                "egress.parent_proxy_login: the variable GONE", "export GONE"},
        Refusal{"bottles: {w: {secrets: {g: {from: env:GONE, hosts: [a.b]}}}}\nagents: {a: {bottle: w}}",
                "p.yaml:1:25: secrets.g: the variable GONE", "export GONE"},
        Refusal{"agents:\n  a: {skills: [reveiw]}", "p.yaml:2:15: agent 'a': there is no skill 'reveiw'", "'review'"},
        Refusal{"bottles: {w: {runtime: runcs}}\nagents: {a: {bottle: w}}",
                "p.yaml:1:24: the engine has no runtime 'runcs'", "did you mean"},
        Refusal{"agents: {a: {}}", "no runtime 'kata'", "one of: runc, runsc", {.agent = "a", .runtime = "kata"}},
        Refusal{
            "agents: {a: {}}", "unknown workspace mode 'clon'", "'clone'", {.agent = "a", .workspace_mode = "clon"}},
        Refusal{"agents: {a: {}}", "not the name of an image", "", {.agent = "a", .image = "-x"}},
        Refusal{"agents: {a: {}}",
                "--headless needs a prompt",
                "--prompt",
                {.agent = "a", .prompt = " \n", .headless = true}},
        Refusal{
            "agents: {a: {}}", "longer than 100 KB", "--headless", {.agent = "a", .prompt = std::string(102401, 'x')}},
        Refusal{"agents: {a: {}}", "the prompt is not UTF-8", "", {.agent = "a", .prompt = "\xff", .headless = true}},
        Refusal{"agents: {a: {}}", "NUL", "", {.agent = "a", .prompt = std::string("a\0b", 3)}},
        Refusal{"agents: {a: {provider: codex}}", "OPENAI_API_KEY is not set", "export OPENAI_API_KEY"},
        Refusal{"bottles: {w: {env: {T: x}, secrets: {g: {from: \"cmd:x\", hosts: [a.b], env: T}}}}\nagents: {a: "
                "{bottle: w}}",
                "env.T would replace the placeholder of secret g", "remove it"},
        Refusal{"bottles: {w: {secrets: {g: {from: \"cmd:x\", hosts: [a.b], env: T}, h: {from: \"cmd:x\", hosts: "
                "[a.b], env: T}}}}\nagents: {a: {bottle: w}}",
                "share the variable T", "another `env:`"},
        Refusal{"bottles: {w: {egress: {lan: [{name: api.anthropic.com, to: \"10.0.0.1:80\"}]}}}\nagents: {a: {bottle: "
                "w}}",
                "egress.lan: api.anthropic.com is also a host of", "another name"},
        Refusal{"bottles: {w: {egress: {lan: [{name: git.corp, to: \"10.0.0.1:80\"}]}, ssh: [{host: g, hostname: "
                "git.corp, host_key: \"ssh-ed25519 AAAA\"}]}}\nagents: {a: {bottle: w}}",
                "egress.lan: git.corp is also a host of", "another name"},
        Refusal{"bottles: {w: {egress: {lan: [{name: 10.0.0.2, to: \"10.0.0.1:80\"}]}}}\nagents: {a: {bottle: w}}",
                "egress.lan: 10.0.0.2: a service needs a name", "tracker.bottle"},
        Refusal{"bottles: {w: {egress: {lan: [{name: \"fd00::2\", to: \"10.0.0.1:80\"}]}}}\nagents: {a: {bottle: w}}",
                "egress.lan: fd00::2: a service needs a name", "tracker.bottle"},
        Refusal{"bottles: {w: {secrets: {g: {from: \"cmd:x\", expose: true}}}}\nagents: {a: {bottle: w}}",
                "`expose` needs a variable", "env: NAME"}));

TEST(Make, RefusesABadSessionName) {
  for (const char* name : {"", "A", "a_b", "-a", "a/b", "12345678901234567890123456789012345678901"}) {
    Facts f = facts();
    f.session = name;
    EXPECT_FALSE(make(manifest::builtin(), {.agent = "claude"}, f)) << name;
  }
}

TEST(Make, SaysWhatToDoAboutAPathThatIsNotUtf8) {
  Facts f = facts();
  f.workspace = "/home/me/caf\xe9";
  auto plan = make(manifest::builtin(), {.agent = "shell"}, f);
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().what, "the path of the workspace is not UTF-8: /home/me/caf\\xe9");
  EXPECT_NE(plan.error().todo.find("rename the part"), std::string::npos);
  auto refused = [](const Facts& known, const Options& options, const std::string& policy = "{}") -> std::string {
    auto manifest = manifest::load(
        {{"m.yaml", "bottles: {web: " + policy + "}\nagents: {a: {bottle: web, provider: shell}}"}}, {}, {});
    if (!manifest) return manifest.error().what;
    auto made = make(*manifest, options, known);
    return made ? "" : made.error().what;
  };
  f = facts();
  f.top = f.workspace;
  f.repository = f.workspace + "/.git";
  f.workspace += "/caf\xe9";
  EXPECT_EQ(refused(f, {.agent = "a"}), "the path of the directory to start in is not UTF-8: caf\\xe9");
  f = facts();
  f.repository = "/home/\xff/.git";
  EXPECT_EQ(refused(f, {.agent = "a"}), "the path of the workspace's repository is not UTF-8: /home/\\xff/.git");
  EXPECT_EQ(refused(facts(), {.agent = "a", .image = "caf\xe9"}), "the name of the image is not UTF-8: caf\\xe9");
  f = facts();
  f.environment["HOME"] = "/home/caf\xe9";
  for (const char* policy : {"{scan: {rules: [~/x]}}", "{scan: {secrets: [~/x]}}", "{egress: {extra_ca: [~/x]}}",
                             "{secrets: {g: {from: \"file:~/x\", hosts: [a.example]}}}"})
    EXPECT_TRUE(refused(f, {.agent = "a"}, policy).ends_with(" is not UTF-8: /home/caf\\xe9/x"))
        << refused(f, {.agent = "a"}, policy);
}

TEST(Surroundings, TimeZoneAndColorsArePassedOn) {
  Facts f = facts();
  f.time_zone = "Europe/Berlin";
  f.environment["COLORTERM"] = "truecolor";
  auto value = [](const Plan& plan, const std::string& name) -> std::string {
    for (const auto& var : plan.env)
      if (var.name == name) return var.source.text;
    return "(none)";
  };
  auto plan = make(manifest::builtin(), {.agent = "shell"}, f);
  ASSERT_TRUE(plan);
  EXPECT_EQ(value(*plan, "TZ"), "Europe/Berlin");
  EXPECT_EQ(value(*plan, "COLORTERM"), "truecolor");
  auto headless = make(manifest::builtin(), {.agent = "shell", .headless = true}, f);
  ASSERT_TRUE(headless);
  EXPECT_EQ(value(*headless, "COLORTERM"), "(none)");
  auto own = make(parsed("bottles: {default: {env: {TZ: UTC}}}\nagents: {a: {provider: shell}}"), {.agent = "a"}, f);
  ASSERT_TRUE(own);
  EXPECT_EQ(value(*own, "TZ"), "UTC");
  f.time_zone = "$(id)";
  EXPECT_EQ(value(*make(manifest::builtin(), {.agent = "shell"}, f), "TZ"), "(none)");
}

TEST(Surroundings, TheLocaleIsPassedOn) {
  auto locales = [](const std::map<std::string, std::string>& environment, const char* env = "{}") {
    Facts f = facts();
    f.environment.insert(environment.begin(), environment.end());
    auto plan = make(parsed("bottles: {default: {env: " + std::string(env) + "}}\nagents: {a: {provider: shell}}"),
                     {.agent = "a", .headless = true}, f);
    std::string all;
    for (const auto& var : plan->env)
      if (var.source.kind == Source::Kind::locale) all += var.name + "=" + var.source.text + " ";
    return all;
  };
  EXPECT_EQ(locales({{"LANG", "de_DE.UTF-8"}, {"LC_TIME", "en_DK.UTF-8"}, {"LC_PWN", "x"}}),
            "LANG=de_DE.UTF-8 LC_TIME=en_DK.UTF-8 ");
  EXPECT_EQ(locales({{"LANG", "de_DE@euro"}, {"LC_ALL", "fr_FR.UTF-8"}}), "LC_ALL=fr_FR.UTF-8 ");
  for (const char* none : {"C", "POSIX", "C.UTF-8", "", "$(id)", "a b"})
    EXPECT_EQ(locales({{"LANG", none}}), "") << none;
  EXPECT_EQ(locales({{"LANG", "de_DE.UTF-8"}, {"LC_ALL", "C"}}), "");
  EXPECT_EQ(locales({{"LANG", "de_DE.UTF-8"}}, "{LANG: nl_NL.UTF-8}"), "");
}

TEST(Ssh, AHostWithoutAKnownKeyIsRefused) {
  auto v1 = manifest::import_v1(
      {"claude-bottle.json",
       R"({"bottles": {"d": {"ssh": [{"Host": "g.example"}]}}, "agents": {"a": {"bottle": "d"}}})"});
  ASSERT_TRUE(v1);
  auto plan = make(*v1, {.agent = "a"}, facts());
  ASSERT_TRUE(plan);
  EXPECT_TRUE(plan->ssh.empty());
  EXPECT_EQ(plan->egress.allow.size(), 1u);
  EXPECT_EQ(plan->warnings.size(), 1u);
}

TEST(Agent, OneOfTheRepositoryWithAMistakeFailsOnlyIfItIsStarted) {
  auto manifest = parsed("agents: {mine: {}}");
  for (const char* name : {"bad", "b", "c", "d"})
    manifest.unusable.push_back({name, {Code::invalid, std::string(name) + ".md:2:1: unknown key 'botle'", "look"}});
  auto plan = make(manifest, {.agent = "mine"}, facts());
  ASSERT_TRUE(plan) << plan.error().what;
  ASSERT_EQ(plan->warnings.size(), 4u) << "the list is short";
  EXPECT_EQ(plan->warnings[0], "agent 'bad' of this repository cannot be used: bad.md:2:1: unknown key 'botle'");
  EXPECT_NE(plan->warnings[3].find("bottle check"), std::string::npos);
  auto bad = make(manifest, {.agent = "bad"}, facts());
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().what, "bad.md:2:1: unknown key 'botle'");
  auto typo = make(manifest, {.agent = "mien"}, facts());
  ASSERT_FALSE(typo);
  EXPECT_NE(typo.error().todo.find("'mine'"), std::string::npos) << typo.error().todo;
  EXPECT_NE(typo.error().todo.find("bottle check"), std::string::npos) << typo.error().todo;
  manifest.unusable = {{"", {Code::limit, "more than 200 agents", ""}}};
  EXPECT_TRUE(make(manifest, {.agent = "mine"}, facts()));
  EXPECT_EQ(make(manifest, {.agent = "any"}, facts()).error().what, "more than 200 agents");
}

TEST(Secrets, AnExposedSecretCausesAWarningAndIsStillScannedFor) {
  auto plan = make(parsed("bottles: {default: {secrets: {g: {from: \"cmd:x\", hosts: [a.b], env: T, expose: true}}, "
                          "egress: {allow: [a.b]}}}\nagents: {a: {provider: shell}}"),
                   {.agent = "a"}, facts());
  ASSERT_TRUE(plan) << plan.error().what;
  ASSERT_EQ(plan->env.size(), 1u);
  EXPECT_EQ(plan->env[0].name, "T");
  ASSERT_EQ(plan->secrets.size(), 1u);
  EXPECT_EQ(plan->secrets[0].env, "");
  ASSERT_EQ(plan->warnings.size(), 1u);
  EXPECT_NE(plan->warnings[0].find("EXPOSED"), std::string::npos);
}

TEST(User, RootBecomesAnUnprivilegedUserUnlessBindNeedsRoot) {
  Facts f = facts();
  f.uid = f.gid = 0;
  auto clone = make(manifest::builtin(), {.agent = "claude"}, f);
  ASSERT_TRUE(clone);
  EXPECT_EQ(clone->uid, 1000u);
  EXPECT_EQ(clone->gid, 1000u);
  EXPECT_TRUE(clone->warnings.empty());
  auto bind = make(manifest::builtin(), {.agent = "claude", .workspace_mode = "bind"}, f);
  ASSERT_TRUE(bind);
  EXPECT_EQ(bind->uid, 0u);
  EXPECT_EQ(bind->warnings.size(), 2u);
}

TEST(Explain, HasNoEffectOnATerminal) {
  auto plan = make(manifest::builtin(),
                   {.agent = "shell",
                    .agent_args = {"\x1b]0;owned\x07",
                                   "\xc2\x9b"
                                   "31m"}},
                   facts());
  ASSERT_TRUE(plan);
  std::string text = joined(explain(*plan));
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_EQ(text.find('\x07'), std::string::npos);
  EXPECT_EQ(text.find("\xc2\x9b"), std::string::npos);
}

TEST(Guard, PlansWithoutAnAgent) {
  auto policy = manifest::parse_guard({"g.yaml", R"(egress: {allow: ['*']}
secrets: {t: {from: env:T, hosts: [a.example]}, u: {from: env:U, expose: true}})"});
  ASSERT_TRUE(policy);
  auto plan = for_guard(*policy);
  ASSERT_TRUE(plan) << plan.error().what;
  EXPECT_EQ(plan->egress.allow[0].host, "*");
  EXPECT_EQ(plan->secrets[0].placeholder, "bottle-placeholder-guard-t");
  EXPECT_TRUE(plan->secrets[1].exposed && !plan->secrets[0].exposed) << "a guard alone needs no variable for it";
  policy->egress.lan.push_back({.name = "git.corp", .to = "10.0.0.1:80"});
  EXPECT_TRUE(for_guard(*policy));
  policy->ssh.push_back({.host = "git.corp", .known_host_key = "ssh-ed25519 AAAA"});
  EXPECT_EQ(for_guard(*policy).error().code, Code::conflict);
}

}  // namespace
}  // namespace bottle::plan
