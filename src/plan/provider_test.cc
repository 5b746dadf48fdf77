// Tests what a provider decides in a plan: the sign-in, the rules for its API, the command and the image.
#include <algorithm>

#include "plan/plan_test.h"
#include "plan/provider.h"

namespace bottle::plan {
namespace {

TEST(SignIn, PrefersATokenThenAKeyAndFailsWithAdvice) {
  Facts f = facts();
  f.environment["ANTHROPIC_API_KEY"] = "key-value";
  auto both = make(manifest::builtin(), {.agent = "claude"}, f);
  ASSERT_TRUE(both);
  ASSERT_EQ(both->secrets.size(), 1u);
  EXPECT_EQ(both->secrets[0].name, "claude-oauth");
  EXPECT_EQ(both->secrets[0].env, "CLAUDE_CODE_OAUTH_TOKEN");
  EXPECT_EQ(both->secrets[0].source.text, "CLAUDE_BOTTLE_OAUTH_TOKEN");
  EXPECT_EQ(both->secrets[0].placeholder, "sk-ant-oat01-bottle-s1");
  EXPECT_EQ(both->secrets[0].hosts, std::vector<std::string>{"api.anthropic.com"});
  f.environment.erase("CLAUDE_BOTTLE_OAUTH_TOKEN");
  auto key = make(manifest::builtin(), {.agent = "claude"}, f);
  ASSERT_TRUE(key);
  EXPECT_EQ(key->secrets[0].name, "anthropic-key");
  EXPECT_EQ(key->secrets[0].env, "ANTHROPIC_API_KEY");
  f.environment["ANTHROPIC_API_KEY"] = "";
  auto none = make(manifest::builtin(), {.agent = "claude"}, f);
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().todo.find("claude setup-token"), std::string::npos);
  EXPECT_NE(none.error().todo.find("export CLAUDE_BOTTLE_OAUTH_TOKEN"), std::string::npos);
  EXPECT_NE(none.error().todo.find("export ANTHROPIC_API_KEY"), std::string::npos);
  EXPECT_TRUE(make(manifest::builtin(), {.agent = "shell"}, f));
}

TEST(SignIn, ADryRunNeedsNoCredential) {
  Facts f = facts();
  f.environment.erase("CLAUDE_BOTTLE_OAUTH_TOKEN");
  auto plan = make(manifest::builtin(), {.agent = "claude", .if_unset = Options::IfUnset::warn}, f);
  ASSERT_TRUE(plan) << plan.error().what;
  EXPECT_TRUE(std::ranges::any_of(plan->warnings, [](const std::string& warning) {
    return warning.find("a start needs one of them") != std::string::npos;
  }));
  const char* yaml =
      "bottles: {default: {env: {A: \"${MISSING}\"}, secrets: {s: {from: \"env:GONE\", hosts: [h.example.org], env: "
      "S}}}}\nagents: {a: {provider: shell}}";
  EXPECT_FALSE(make(parsed(yaml), {.agent = "a"}, f));
  auto missing = make(parsed(yaml), {.agent = "a", .if_unset = Options::IfUnset::warn}, f);
  ASSERT_TRUE(missing) << missing.error().what;
  EXPECT_EQ(std::ranges::count_if(missing->warnings,
                                  [](const std::string& warning) {
                                    return warning.find("is not set; a start needs it") != std::string::npos;
                                  }),
            2);
}

TEST(SignIn, AnEmptyVariableIsReportedAsEmpty) {
  Facts f = facts();
  f.environment["CLAUDE_BOTTLE_OAUTH_TOKEN"] = "";
  auto claude = make(manifest::builtin(), {.agent = "claude"}, f);
  ASSERT_FALSE(claude);
  EXPECT_NE(claude.error().what.find("CLAUDE_BOTTLE_OAUTH_TOKEN is set but empty"), std::string::npos)
      << claude.error().what;
  f.environment["EMPTY"] = "";
  auto env =
      make(parsed("bottles: {default: {env: {A: \"${EMPTY}\"}}}\nagents: {a: {provider: shell}}"), {.agent = "a"}, f);
  ASSERT_FALSE(env);
  EXPECT_NE(env.error().what.find("EMPTY is empty"), std::string::npos) << env.error().what;
}

TEST(SignIn, TheOperatorsOwnSecretReplacesIt) {
  Facts f = facts();
  f.environment.erase("CLAUDE_BOTTLE_OAUTH_TOKEN");
  auto named = make(parsed("bottles: {default: {secrets: {claude-oauth: {from: \"cmd:op read token\", hosts: "
                           "[api.anthropic.com]}}}}\nagents: {a: {}}"),
                    {.agent = "a"}, f);
  ASSERT_TRUE(named) << named.error().what;
  ASSERT_EQ(named->secrets.size(), 1u);
  EXPECT_EQ(named->secrets[0].env, "CLAUDE_CODE_OAUTH_TOKEN");
  EXPECT_EQ(named->secrets[0].placeholder, "sk-ant-oat01-bottle-s1");
  auto plain =
      make(parsed("bottles: {default: {env: {ANTHROPIC_API_KEY: dummy}}}\nagents: {a: {}}"), {.agent = "a"}, f);
  ASSERT_TRUE(plain) << plain.error().what;
  EXPECT_TRUE(plain->secrets.empty());
  ASSERT_FALSE(plain->warnings.empty());
  EXPECT_NE(plain->warnings[0].find("env.ANTHROPIC_API_KEY"), std::string::npos);
}

TEST(Egress, TheProvidersApiIsInspectedAndANarrowerRuleIsKept) {
  auto plan = make(manifest::builtin(), {.agent = "claude"}, facts());
  ASSERT_TRUE(plan);
  ASSERT_EQ(plan->egress.allow.size(), 1u);
  EXPECT_EQ(plan->egress.allow[0].host, "api.anthropic.com");
  EXPECT_EQ(plan->egress.allow[0].ports, std::vector<uint16_t>{443});
  EXPECT_TRUE(plan->egress.allow[0].inspect);
  auto own = make(
      parsed(
          "bottles: {default: {egress: {allow: [{host: api.anthropic.com, paths: [/v1/messages]}]}}}\nagents: {a: {}}"),
      {.agent = "a"}, facts());
  ASSERT_TRUE(own);
  ASSERT_EQ(own->egress.allow.size(), 1u);
  EXPECT_EQ(own->egress.allow[0].paths.size(), 1u);
  auto shell = make(manifest::builtin(), {.agent = "shell"}, facts());
  ASSERT_TRUE(shell);
  EXPECT_TRUE(shell->egress.allow.empty());
}

// A rule for exactly the API's host would hide them.
TEST(Egress, TheOperatorsWiderRulesApplyToTheProvidersApi) {
  auto rules = [](const std::string& allow) {
    auto plan = make(parsed("bottles: {default: {egress: {allow: [" + allow + "]}}}\nagents: {a: {}}"), {.agent = "a"},
                     facts());
    if (plan) return plan->egress.allow;
    ADD_FAILURE() << plan.error().what;
    return std::vector<manifest::AllowRule>(9);
  };
  auto allow = rules(
      "{host: \"*.anthropic.com\", methods: [POST], paths: [/v1/messages], on_secret: block, limit: {requests: 5}}, "
      "{host: \"*.anthropic.com\", methods: [GET], ports: [8443]}, {host: \"*.com\", methods: [PUT]}, \"*\"");
  ASSERT_EQ(allow.size(), 6u);
  for (size_t i : {0, 1}) {
    EXPECT_EQ(allow[i].host, "api.anthropic.com");
    EXPECT_TRUE(allow[i].inspect);
    EXPECT_EQ(allow[i].methods, allow[i + 2].methods);
    EXPECT_EQ(allow[i].paths, allow[i + 2].paths);
    EXPECT_EQ(allow[i].ports, allow[i + 2].ports);
    EXPECT_EQ(allow[i].on_secret, allow[i + 2].on_secret);
    EXPECT_EQ(allow[i].limit, manifest::Limit()) << "the pattern's counts";
  }
  EXPECT_EQ(allow[2].limit.requests, 5u);
  // This one is for every host. The agent does not work without its API, nor if secrets block requests to it.
  for (const char* on_secret : {"block", "warn"}) {
    allow = rules(
        "{host: \"*\", methods: [GET], paths: [/a], on_injection: block, on_secret: " + std::string(on_secret) + "}");
    ASSERT_EQ(allow.size(), 2u);
    EXPECT_EQ(allow[0].host, "api.anthropic.com");
    EXPECT_TRUE(allow[0].inspect && allow[0].methods.empty() && allow[0].paths.empty());
    EXPECT_EQ(allow[0].ports, std::vector<uint16_t>{443});
    EXPECT_EQ(allow[0].on_secret, std::nullopt) << on_secret;
    EXPECT_EQ(allow[0].on_injection, policy::OnInjection::block);
  }
}

TEST(SignIn, AKeyOfGeminiSignsInToAModel) {
  Facts f = facts();
  f.environment["KEY"] = "value";
  auto plan = make(parsed("bottles: {default: {secrets: {key: {from: \"env:KEY\", env: GEMINI_API_KEY, hosts: "
                          "[generativelanguage.googleapis.com]}, other: {from: \"env:KEY\", env: OTHER, hosts: "
                          "[api.example.org]}}}}\nagents: {a: {provider: command, command: [gemini]}}"),
                   {.agent = "a"}, f);
  ASSERT_TRUE(plan) << plan.error().what;
  EXPECT_EQ(model_hosts(*plan), std::vector<std::string>{"generativelanguage.googleapis.com"});
  EXPECT_EQ(plan->secrets[0].header, "x-goog-api-key: {}");
  EXPECT_EQ(plan->secrets[1].header, "");
}

std::vector<std::string> command(const std::string& yaml, Options options) {
  Facts f = facts();
  f.environment["OPENAI_API_KEY"] = "openai-value";
  options.agent = "a";
  auto plan = make(parsed(yaml), options, f);
  EXPECT_TRUE(plan) << plan.error().what;
  return plan ? plan->command : std::vector<std::string>{};
}

TEST(Command, DependsOnTheProvider) {
  using Words = std::vector<std::string>;
  const char* claude = "agents: {a: {prompt: Sys}}";
  EXPECT_EQ(command(claude, {.prompt = "Do"}),
            (Words{"claude", "--dangerously-skip-permissions", "--append-system-prompt", "Sys", "Do"}));
  EXPECT_EQ(command(claude, {.prompt = "Do", .headless = true, .agent_args = {"--model", "x"}}),
            (Words{"claude", "--dangerously-skip-permissions", "--append-system-prompt", "Sys", "-p", "--output-format",
                   "text", "--model", "x"}));
  EXPECT_EQ(command(claude, {.prompt = "--help"}).at(4), "--");
  EXPECT_EQ(command(claude, {.prompt = "Do", .agent_args = {"--allowedTools", "a"}}).back(), "Do");
  const char* codex = "agents: {a: {provider: codex, prompt: Sys}}";
  EXPECT_EQ(command(codex, {.prompt = "Do"}),
            (Words{"codex", "--dangerously-bypass-approvals-and-sandbox", "Sys\n\nDo"}));
  EXPECT_EQ(command(codex, {.prompt = "Do", .headless = true}),
            (Words{"codex", "exec", "--dangerously-bypass-approvals-and-sandbox", "-"}));
  const char* shell = "agents: {a: {provider: shell}}";
  EXPECT_EQ(command(shell, {}), (Words{"bash", "-l"}));
  EXPECT_EQ(command(shell, {.prompt = "id", .headless = true}), (Words{"bash", "-s"}));
  EXPECT_EQ(command(shell, {.prompt = "id", .headless = true, .agent_args = {"-x"}}),
            (Words{"bash", "-s", "--", "-x"}));
  EXPECT_EQ(command("agents: {a: {provider: command, command: [make, -j4]}}", {.agent_args = {"all"}}),
            (Words{"make", "-j4", "all"}));
}

TEST(Command, ALargeHeadlessPromptGoesThroughStandardInput) {
  std::string prompt(1 << 20, 'x');
  auto plan = make(manifest::builtin(), {.agent = "claude", .prompt = prompt, .headless = true}, facts());
  ASSERT_TRUE(plan) << plan.error().what;
  EXPECT_EQ(plan->prompt, prompt);
}

TEST(Image, ItsNameDependsOnItsIngredients) {
  ImageFacts known = facts().images, newer = known, other = known;
  newer.bootstrap_hash = "ba9876543210";
  other.architecture = "aarch64";
  Image plain = bootstrap_image("claude", {}, {}, known);
  EXPECT_EQ(plain.recipe, Image::Recipe::bootstrap);
  EXPECT_TRUE(plain.reference.starts_with("bottle-agent-claude:"));
  EXPECT_EQ(plain.reference.size(), std::string("bottle-agent-claude:").size() + 12);
  EXPECT_EQ(plain.reference, bootstrap_image("claude", {}, {}, known).reference);
  EXPECT_NE(plain.reference, bootstrap_image("claude", {"git"}, {}, known).reference);
  EXPECT_NE(plain.reference, bootstrap_image("claude", {}, {}, newer).reference)
      << "a changed recipe makes another image";
  EXPECT_NE(plain.reference, bootstrap_image("claude", {}, {}, other).reference);
  EXPECT_NE(plain.reference, bootstrap_image("claude", {}, {"2.1.3", ""}, known).reference);
  EXPECT_NE(bootstrap_image("claude", {}, {"2.1.3", "sha512-x"}, known).reference,
            bootstrap_image("claude", {}, {"2.1.3", ""}, known).reference);
  EXPECT_NE(bootstrap_image("claude", {"ab", "c"}, {}, known).reference,
            bootstrap_image("claude", {"a", "bc"}, {}, known).reference);
}

TEST(Image, HasTheVersionThatTheAgentPins) {
  auto planned = [](const std::string& bottle) {
    auto manifest = parsed("bottles: {w: {" + bottle + "}}\nagents: {a: {bottle: w}, r: {bottle: w, version: 2.1.3}}");
    auto plan = make(manifest, {.agent = "r"}, facts());
    EXPECT_TRUE(plan) << plan.error().what;
    return std::pair(plan ? *plan : Plan{}, current_images(manifest, facts().images));
  };
  auto [plan, current] = planned("");
  EXPECT_EQ(plan.image.pin.version, "2.1.3");
  EXPECT_EQ(plan.image.reference, bootstrap_image("claude", {}, {"2.1.3", ""}, facts().images).reference);
  EXPECT_EQ(std::ranges::count(current, plan.image.reference), 1) << "`image prune` leaves it";
  EXPECT_NE(joined(explain(plan)).find("(built by bottle, version 2.1.3)"), std::string::npos);
  auto [other, unused] = planned("image: mine");
  EXPECT_EQ(other.image.pin.version, "");
  EXPECT_TRUE(std::ranges::any_of(other.warnings, [](const auto& w) { return w.starts_with("version 2.1.3 is not"); }));
}

TEST(Image, TheNameForADockerfileDependsOnItsText) {
  auto manifest = parsed("bottles: {default: {dockerfile: /d/Dockerfile}}\nagents: {a: {provider: shell}}");
  auto reference = [&](const std::string& hash) {
    Facts f = facts();
    f.images.dockerfiles["/d/Dockerfile"] = hash;
    auto plan = make(manifest, {.agent = "a"}, f);
    EXPECT_TRUE(plan) << plan.error().what;
    return plan ? plan->image.reference : "";
  };
  EXPECT_TRUE(reference("one").starts_with("bottle-agent-dockerfile:"));
  EXPECT_EQ(reference("one"), reference("one"));
  EXPECT_NE(reference("one"), reference("two"));
  auto unreadable = make(manifest, {.agent = "a"}, facts());
  ASSERT_FALSE(unreadable);
  EXPECT_EQ(unreadable.error().what, "p.yaml:1:33: dockerfile: cannot read /d/Dockerfile");
}

TEST(Image, CurrentImagesAreThoseThatAnAgentOfTheManifestCanNeed) {
  auto manifest = parsed(
      "bottles: {web: {packages: [jq]}, own: {dockerfile: /d/Dockerfile}, ready: {image: x}}\nagents: {a: {bottle: "
      "web, provider: codex}}");
  Facts f = facts();
  f.images.dockerfiles["/d/Dockerfile"] = "one";
  auto current = current_images(manifest, f.images);
  auto has = [&](const std::string& reference) { return std::ranges::find(current, reference) != current.end(); };
  auto plan = make(manifest, {.agent = "a"}, [&] {
    Facts g = f;
    g.environment["OPENAI_API_KEY"] = "k";
    return g;
  }());
  ASSERT_TRUE(plan) << plan.error().what;
  EXPECT_TRUE(has(plan->image.reference));
  EXPECT_TRUE(has(bootstrap_image("claude", {}, {}, f.images).reference)) << "the built-in agents' images too";
  EXPECT_TRUE(std::ranges::any_of(current, [](const auto& r) { return r.starts_with("bottle-agent-dockerfile:"); }));
  f.images.bootstrap_hash = "ba9876543210";
  EXPECT_FALSE(has(bootstrap_image("claude", {}, {}, f.images).reference)) << "an older recipe's is not current";
}

}  // namespace
}  // namespace bottle::plan
