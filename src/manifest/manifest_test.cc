#include "manifest/manifest.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/files/file.h"

namespace bottle::manifest {
namespace {

constexpr const char* kExample = R"(
bottles:
  base:
    packages: [git]
    env: {STAGE: prod, LOG: info}
    resources: {memory: 8GiB, pids: 1000, disk: 30g, shm: 256m}
    egress:
      allow: [Base.Example.org]
      extra_ca: [ca.pem, ~/other.pem]
      on_secret: warn
    ssh: [{host: git.example.net, host_key: "ssh-ed25519 AAAA"}]
  web:
    extends: [base]
    dockerfile: images/Dockerfile
    packages: [curl, git]
    runtime: runsc
    resources: {cpus: 1.5}
    workspace: copy
    env: {STAGE: dev, PORT: 8080, NPM_READ: "${NPM_READ_TOKEN}", DB_PASS: "?Database password"}
    secrets:
      github: {from: env:GITHUB_TOKEN, hosts: [api.github.com], header: "Authorization: Bearer {}"}
      key: {from: "file:secrets/key", hosts: ["*.example.org"], env: KEY}
    egress:
      allow:
        - packages.example.org
        - {host: api.github.com, methods: [GET], paths: ["/repos/me/**"], inspect: full}
        - {host: "*.internal.example", ports: [8443]}
      lan: [{name: tracker.bottle, to: "192.168.1.20:8080", methods: [GET], paths: ["/issues/**"]}]
      hosts: {fixed.example: 203.0.113.7, two.example: ["203.0.113.8:444", "[2001:db8::1]:443"]}
      parent_proxy: http://proxy.example:3128
      parent_proxy_login: env:PROXY_LOGIN
      resolver: 203.0.113.53:53
      on_secret: block
    ssh:
      - {host: git.example.net, hostname: real.example.net, port: 2222, user: git, identity_file: ~/.ssh/id,
         host_key: "ssh-ed25519 AAAABBBB"}
agents:
  reviewer: {bottle: web, provider: claude, skills: [review], prompt: "Review only."}
  make: {bottle: base, provider: command, command: [make, -j4]}
vms:
  lab: {provider: qemu, ttl: 2h, idle: 30m, cpus: 2, memory: 4g, allow_vpn: true, options: {network: none, level: 3}}
)";

TEST(Manifest, ScanFilesOfBasesAreJoined) {
  auto manifest = parse({"dir/p.yaml", R"(
bottles:
  base:
    env: {TOKEN: {value: "${HOST_TOKEN}", secret: true}, OTHER: {value: x, secret: true}, PLAIN: {value: y}}
    scan: {secrets: [prod.env, ~/other.env], rules: [/etc/acme.rules]}
    egress: {on_injection: block}
  web:
    extends: [base]
    env: {OTHER: z}
    scan: {secrets: [/run/more]}
    egress: {allow: [{host: a.example.org, on_injection: warn}]}
)"});
  ASSERT_TRUE(manifest) << manifest.error().what;
  const Bottle& web = manifest->bottles.at("web");
  EXPECT_EQ(web.scan.secrets, (std::vector<std::string>{"dir/prod.env", "~/other.env", "/run/more"}));
  EXPECT_EQ(web.scan.rules, std::vector<std::string>{"/etc/acme.rules"});
  EXPECT_EQ(web.env, (std::map<std::string, std::string>{{"TOKEN", "${HOST_TOKEN}"}, {"OTHER", "z"}, {"PLAIN", "y"}}));
  EXPECT_EQ(web.secret_env, std::set<std::string>{"TOKEN"}) << "a variable that is set again is what it is then";
  EXPECT_EQ(web.egress.on_injection, policy::OnInjection::block);
  EXPECT_EQ(web.egress.allow[0].on_injection, policy::OnInjection::warn);
  EXPECT_TRUE(web.egress.allow[0].inspect);
}

// The login would be sent in clear.
TEST(Manifest, ALoginDoesNotGoToTheProxyOfAnotherBottle) {
  auto manifest = parse({"p.yaml", R"(
bottles:
  login: {egress: {parent_proxy_login: env:CORP}}
  base: {extends: [login], egress: {parent_proxy: "http://proxy.corp:3128"}}
  same: {extends: [base], egress: {parent_proxy: "http://proxy.corp:3128"}}
  other: {extends: [base], egress: {parent_proxy: "http://other:3128"}}
  own: {extends: [base], egress: {parent_proxy: "http://other:3128", parent_proxy_login: env:OTHER}}
)"});
  ASSERT_TRUE(manifest) << manifest.error().what;
  auto login = [&](const char* bottle) { return manifest->bottles.at(bottle).egress.parent_proxy_login; };
  EXPECT_EQ(login("base"), "env:CORP");
  EXPECT_EQ(login("same"), "env:CORP");
  EXPECT_EQ(login("other"), "");
  EXPECT_EQ(login("own"), "env:OTHER");
}

TEST(Manifest, OnSecretAppliesToABottleAHostOrAName) {
  auto manifest = parse({"p.yaml",
                         "bottles:\n  web:\n    egress:\n      allow: [{host: a.example.org, on_secret: redact}]\n"
                         "      on_secret_for: {jwt: warn}\n      allowed_secrets: [3543c50b0cb9]\n"});
  ASSERT_TRUE(manifest) << manifest.error().what;
  const Egress& egress = manifest->bottles.at("web").egress;
  EXPECT_EQ(egress.on_secret, policy::OnSecret::block);
  EXPECT_EQ(egress.on_secret_for.at("jwt"), policy::OnSecret::warn);
  EXPECT_EQ(egress.allowed_secrets, std::vector<std::string>{"3543c50b0cb9"});
  ASSERT_EQ(egress.allow.size(), 1u);
  EXPECT_EQ(egress.allow[0].on_secret, policy::OnSecret::redact);
  EXPECT_TRUE(egress.allow[0].inspect) << "what nobody looks into cannot be redacted";
}

TEST(Manifest, ReadsEveryKeyOfTheExample) {
  auto manifest = parse({"/home/me/.config/bottle/bottle.yaml", kExample});
  ASSERT_TRUE(manifest) << manifest.error().what;
  const Bottle& web = manifest->bottles.at("web");
  EXPECT_EQ(web.name, "web");
  EXPECT_EQ(web.dockerfile, "/home/me/.config/bottle/images/Dockerfile");
  EXPECT_EQ(web.packages, (std::vector<std::string>{"curl", "git"}));
  EXPECT_EQ(web.runtime, "runsc");
  EXPECT_EQ(web.resources.memory, 8ull << 30);
  EXPECT_EQ(web.resources.pids, 1000);
  EXPECT_EQ(web.resources.disk, 30ull << 30);
  EXPECT_EQ(web.resources.shm, 256ull << 20);
  EXPECT_EQ(web.resources.cpus, 1.5);
  EXPECT_EQ(web.workspace, WorkspaceMode::copy);
  EXPECT_EQ(web.env, (std::map<std::string, std::string>{{"STAGE", "dev"},
                                                         {"LOG", "info"},
                                                         {"PORT", "8080"},
                                                         {"NPM_READ", "${NPM_READ_TOKEN}"},
                                                         {"DB_PASS", "?Database password"}}));
  EXPECT_EQ(web.secrets.at("github").header, "Authorization: Bearer {}");
  EXPECT_EQ(web.secrets.at("key").from, "file:/home/me/.config/bottle/secrets/key");
  ASSERT_EQ(web.egress.allow.size(), 4u);
  EXPECT_EQ(web.egress.allow[0].host, "base.example.org");
  EXPECT_FALSE(web.egress.allow[1].inspect);
  EXPECT_TRUE(web.egress.allow[2].inspect);
  EXPECT_EQ(web.egress.allow[2].paths, std::vector<std::string>{"/repos/me/**"});
  EXPECT_EQ(web.egress.allow[3].ports, std::vector<uint16_t>{8443});
  EXPECT_EQ(web.egress.lan[0].to, "192.168.1.20:8080");
  EXPECT_EQ(web.egress.hosts.at("two.example").size(), 2u);
  EXPECT_EQ(web.egress.extra_ca, (std::vector<std::string>{"/home/me/.config/bottle/ca.pem", "~/other.pem"}));
  EXPECT_EQ(web.egress.on_secret, policy::OnSecret::block);
  ASSERT_EQ(web.ssh.size(), 1u);  // the later definition of the same name applies
  EXPECT_EQ(web.ssh[0].port, 2222);
  EXPECT_EQ(web.positions.at("env.NPM_READ"), "/home/me/.config/bottle/bottle.yaml:19:45");
  EXPECT_EQ(manifest->bottles.at("base").env.at("STAGE"), "prod");
  EXPECT_EQ(manifest->agents.at("reviewer").prompt, "Review only.");
  EXPECT_EQ(manifest->agents.at("make").command, (std::vector<std::string>{"make", "-j4"}));
  EXPECT_EQ(manifest->vms.at("lab").ttl, 7200u);
  EXPECT_EQ(manifest->vms.at("lab").memory, 4ull << 30);
  EXPECT_TRUE(manifest->vms.at("lab").allow_vpn);
  EXPECT_EQ(manifest->vms.at("lab").options, (std::map<std::string, std::string>{{"network", "none"}, {"level", "3"}}));
}

TEST(Manifest, PinsAnAgentsProgram) {
  std::string one = "sha512-" + std::string(86, 'A') + "==", two = "sha512-" + std::string(85, '/') + "+==";
  for (const auto& [version, integrity] : {std::pair<std::string, std::string>{"2.1.3", ""},
                                           {"10.0.12-beta.1", one},
                                           {"0.46.0-linux-x64", one + " " + two}}) {
    auto manifest = parse({"p.yaml", "agents: {r: {provider: codex, version: \"" + version + "\"" +
                                         (integrity.empty() ? "" : ", integrity: \"" + integrity + "\"") + "}}\n"});
    ASSERT_TRUE(manifest) << manifest.error().what;
    EXPECT_EQ(manifest->agents.at("r").pin.version, version);
    EXPECT_EQ(manifest->agents.at("r").pin.integrity, integrity);
  }
}

TEST(Manifest, ADiamondAppliesItsBaseOnce) {
  auto manifest = parse({"p.yaml",
                         "bottles:\n  d: {extends: [b, c]}\n  b: {extends: [a]}\n  c: {extends: [a]}\n  a: {egress: "
                         "{allow: [x.example]}}\n"});
  ASSERT_TRUE(manifest) << manifest.error().what;
  EXPECT_EQ(manifest->bottles.at("d").egress.allow.size(), 1u);
}

TEST(Manifest, ABaseDoesNotAffectOtherBottles) {
  auto manifest =
      parse({"p.yaml", "bottles:\n  a: {}\n  b: {extends: [a], egress: {allow: [x.example]}}\n  c: {extends: [a]}\n"});
  ASSERT_TRUE(manifest);
  EXPECT_TRUE(manifest->bottles.at("c").egress.allow.empty());
  EXPECT_TRUE(manifest->bottles.at("a").egress.allow.empty());
}

TEST(Manifest, AnEmptyBottleAllowsNothing) {
  for (const char* text : {"", "{}", "bottles:\n", "bottles:\n  web:\n", "bottles:\n  web:\n    egress:\n",
                           "bottles:\n  web:\n    egress:\n      allow:\n"}) {
    auto manifest = parse({"p.yaml", text});
    ASSERT_TRUE(manifest) << text << manifest.error().what;
    for (const auto& [name, bottle] : manifest->bottles) EXPECT_TRUE(bottle.egress.allow.empty()) << text;
  }
}

TEST(Manifest, JsonIsReadWithTabsAndEscapes) {
  auto manifest =
      parse({"bottle.json",
             "{\n\t\"agents\": {\n\t\t\"a\":{\"prompt\":\"\\ud83d\\ude00 a\\/b \\\\ud83d \\u00e4\"}\n\t}\n}\n"});
  ASSERT_TRUE(manifest) << manifest.error().what;
  EXPECT_EQ(manifest->agents.at("a").prompt, "😀 a/b \\ud83d ä");
}

TEST(Version1, IsStillRead) {
  auto manifest = import_v1({"/home/me/claude-bottle.json", R"({
    "bottles": {"dev": {
      "env": {"STAGE": "dev", "NPM": "${NPM_TOKEN}", "PASS": "?Password"},
      "ssh": [{"Host": "git.example.net", "IdentityFile": "~/.ssh/id", "Hostname": "203.0.113.9", "User": "git",
               "Port": 2222, "KnownHostKey": "ssh-ed25519 AAAA"}],
      "egress": {"allowlist": ["packages.example.org", "*.example.net"], "dlp_action": "redact"}}},
    "agents": {"reviewer": {"bottle": "dev", "skills": ["review"], "prompt": "Review."}}})"});
  ASSERT_TRUE(manifest) << manifest.error().what;
  const Bottle& dev = manifest->bottles.at("dev");
  EXPECT_EQ(dev.env.at("NPM"), "${NPM_TOKEN}");
  ASSERT_EQ(dev.ssh.size(), 1u);
  EXPECT_EQ(dev.ssh[0].hostname, "203.0.113.9");
  EXPECT_EQ(dev.ssh[0].port, 2222);
  EXPECT_EQ(dev.ssh[0].known_host_key, "ssh-ed25519 AAAA");
  EXPECT_EQ(dev.egress.allow.size(), 2u);
  EXPECT_EQ(dev.egress.on_secret, policy::OnSecret::redact);
  EXPECT_EQ(manifest->agents.at("reviewer").provider, "claude");
}

TEST(Version1, UnknownKeysAreErrors) {
  auto result = import_v1({"claude-bottle.json", "{\"bottles\": {\"dev\": {\"egress\": {\"allow_list\": []}}}}"});
  ASSERT_FALSE(result);
  EXPECT_TRUE(result.error().what.starts_with("claude-bottle.json:1:33: unknown key 'allow_list'"))
      << result.error().what;
  EXPECT_EQ(result.error().todo, "did you mean 'allowlist'?");
}

TEST(Agent, IsReadFromFilesInClaudesFormat) {
  auto agent =
      parse_agent({"agents/other.md",
                   "---\r\nname: reviewer\r\ndescription: \"Use it: often\"\r\ntools: Read, Grep\r\nmodel: "
                   "opus\r\nbottle: web\r\nskills: review, style\r\n---\r\n\r\nReview.\r\n\r\n---\r\nMore.\r\n"});
  ASSERT_TRUE(agent) << agent.error().what;
  EXPECT_EQ(agent->name, "reviewer");
  EXPECT_EQ(agent->bottle, "web");
  EXPECT_EQ(agent->skills, (std::vector<std::string>{"review", "style"}));
  EXPECT_EQ(agent->prompt, "Review.\n\n---\nMore.");
  auto nameless = parse_agent({"agents/docs.md", "---\n---\n"});
  ASSERT_TRUE(nameless) << nameless.error().what;
  EXPECT_EQ(nameless->name, "docs");
  EXPECT_EQ(nameless->bottle, "default");
  EXPECT_EQ(nameless->prompt, "");
  EXPECT_FALSE(parse_agent({"agents/a b.md", "---\n---\n"}));
}

File agent_file(const std::string& path, const std::string& bottle) {
  return {path, "---\nbottle: " + bottle + "\n---\nPrompt.\n"};
}

TEST(Load, MergesHomeAndRepository) {
  auto manifest = load({{"bottle.yaml", "bottles: {web: {}}\nagents: {a: {bottle: web}}"},
                        {"/h/claude-bottle.json", R"({"bottles": {"dev": {}}})"}},
                       {agent_file("h/b.md", "dev")}, {agent_file("r/c.md", "web")});
  ASSERT_TRUE(manifest) << manifest.error().what;
  EXPECT_EQ(manifest->agents.size(), 3u);
  EXPECT_EQ(described(manifest->agents["b"]), "");
  EXPECT_EQ(described(manifest->agents["c"]), "from this repository");
  EXPECT_EQ(manifest->bottles.size(), 3u);  // two of the file, and "default"
}

TEST(Load, ARepositoryCannotReplaceAnAgentOrDefineABottle) {
  File home{"bottle.yaml", "bottles: {web: {}}\nagents:\n  a: {bottle: web}"};
  // Returns why the only agent of the repository cannot be used. The operator's agents stay.
  auto unusable = [](const std::vector<File>& policy, const File& agent, const std::string& own) {
    auto manifest = load(policy, {}, {agent});
    EXPECT_TRUE(manifest && manifest->agents.contains(own) && !manifest->agents[own].from_repository) << agent.path;
    EXPECT_EQ(manifest->unusable.size(), 1u) << agent.path;
    return manifest && manifest->unusable.size() == 1 ? manifest->unusable[0].why : Error{};
  };
  Error shadow = unusable({home}, agent_file("r/a.md", "web"), "a");
  EXPECT_TRUE(shadow.what.starts_with("r/a.md:1:1: agent 'a' of the repository")) << shadow.what;
  EXPECT_NE(shadow.todo.find("bottle.yaml:3:3"), std::string::npos);
  Error unknown = unusable({home}, agent_file("r/b.md", "wild"), "a");
  EXPECT_TRUE(unknown.what.starts_with("r/b.md:2:9: agent 'b': there is no bottle 'wild'")) << unknown.what;
  // The built-in agent counts as the operator's.
  unusable({}, agent_file("r/claude.md", "default"), "claude");
}

TEST(Load, OnlyAnAgentOfTheRepositoryWithAMistakeIsUnusable) {
  File home{"bottle.yaml", "bottles: {web: {}}\nagents:\n  own: {bottle: web}"};
  auto manifest = load({home}, {},
                       {{"r/bad.md", "---\nbotle: web\n---\n"},
                        agent_file("r/good.md", "web"),
                        {"r/one.md", "---\nname: twin\nbottle: web\n---\n"},
                        {"r/two.md", "---\nname: twin\nbottle: web\n---\n"},
                        {"r/three.md", "---\nname: twin\nbottle: web\n---\n"}});
  ASSERT_TRUE(manifest) << manifest.error().what;
  EXPECT_EQ(manifest->agents.size(), 2u);
  EXPECT_TRUE(manifest->agents.contains("own") && manifest->agents.contains("good"));
  std::string unusable;
  for (const auto& each : manifest->unusable) unusable += each.name + " ";
  EXPECT_EQ(unusable, "bad twin twin ");
  // A mistake of the operator is still an error.
  EXPECT_FALSE(load({home}, {{"h/bad.md", "---\nbotle: web\n---\n"}}, {}));
}

TEST(Load, ADuplicateNameIsAnError) {
  auto twice =
      load({{"bottle.yaml", "bottles:\n  web: {}"}, {"claude-bottle.json", R"({"bottles": {"web": {}}})"}}, {}, {});
  ASSERT_FALSE(twice);
  EXPECT_TRUE(twice.error().what.starts_with("claude-bottle.json:1:14: bottle 'web' is defined twice"))
      << twice.error().what;
  EXPECT_NE(twice.error().todo.find("bottle.yaml:2:3"), std::string::npos);
}

TEST(Load, WithoutFilesTheBuiltInManifestApplies) {
  auto manifest = load({}, {}, {});
  ASSERT_TRUE(manifest);
  EXPECT_EQ(manifest->agents.size(), 3u);
  EXPECT_TRUE(manifest->bottles.at("default").egress.allow.empty());
  auto own = load({{"bottle.yaml", "agents: {mine: {}}"}}, {}, {});
  ASSERT_TRUE(own);
  EXPECT_EQ(own->agents.size(), 1u);
}

TEST(Guard, ReadsAFileWithOnlyEgressAndSecrets) {
  auto bottle = parse_guard({"g.json",
                             R"({"egress": {"allow": ["*"]},
           "secrets": {"t": {"from": "env:T", "hosts": ["a.example"], "placeholder": "placeholder-1"}}})"});
  ASSERT_TRUE(bottle) << bottle.error().what;
  EXPECT_EQ(bottle->egress.allow[0].host, "*");
  EXPECT_EQ(bottle->secrets.at("t").placeholder, "placeholder-1");
  EXPECT_FALSE(parse_guard({"g.yaml", "bottles: {}"}));
}

TEST(Suggest, FindsTheNearest) {
  EXPECT_EQ(suggest("clnoe", {"none", "copy", "clone"}), "did you mean 'clone'?");
  EXPECT_EQ(suggest("zzzzzz", {"a", "b"}), "one of: a, b");
  EXPECT_EQ(suggest("x", {}), "");
  EXPECT_EQ(suggest("", {"a", "b"}), "one of: a, b");
  EXPECT_EQ(suggest(std::string(100000, 'x'), {"a"}), "the only one is a");
}

TEST(Covers, AgreesWithTheRules) {
  EXPECT_TRUE(covers("*.example.org", "a.example.org"));
  EXPECT_FALSE(covers("*.example.org", "example.org"));
  EXPECT_FALSE(covers("*.example.org", "badexample.org"));
  EXPECT_FALSE(covers("example.org", "a.example.org"));
  EXPECT_TRUE(covers("*", "anything"));
}

TEST(Schema, ComesFromTheTable) {
  auto schema = nlohmann::json::parse(json_schema());
  EXPECT_FALSE(schema.at("additionalProperties").get<bool>());
  EXPECT_EQ(schema.at("properties").at("bottles").at("additionalProperties").at("$ref"), "#/$defs/bottle");
  EXPECT_EQ(schema.at("$defs").at("bottle").at("properties").at("workspace").at("enum").size(), 4u);
  EXPECT_EQ(schema.at("$defs").at("rule").at("required"), nlohmann::json::array({"host"}));
  // Every reference must have a target.
  std::string text = schema.dump();
  for (size_t at = text.find("#/$defs/"); at != std::string::npos; at = text.find("#/$defs/", at + 1)) {
    std::string name = text.substr(at + 8, text.find('"', at) - at - 8);
    EXPECT_TRUE(schema.at("$defs").contains(name)) << name;
  }
}

// Returns the YAML blocks of a page that are whole manifests.
std::vector<std::string> manifests_in(const std::string& markdown) {
  std::vector<std::string> found;
  for (size_t at = 0; (at = markdown.find("```yaml\n", at)) != std::string::npos;) {
    at += 8;
    std::string block = markdown.substr(at, markdown.find("\n```", at) + 1 - at);
    if (block.starts_with("bottles:") || block.starts_with("agents:") || block.starts_with("vms:"))
      found.push_back(block);
  }
  return found;
}

TEST(Docs, ManifestsInThemAreValid) {
  size_t seen = 0;
  for (const char* page : {"README.md", "docs/manifest.md", "docs/providers.md", "docs/ssh.md", "docs/remote.md"}) {
    auto text = read_file(page);
    ASSERT_TRUE(text) << text.error().what;
    for (const std::string& block : manifests_in(*text)) {
      ++seen;
      auto parsed = parse({page, block});
      EXPECT_TRUE(parsed) << parsed.error().what << "\n" << block;
    }
  }
  EXPECT_GE(seen, 3u);
}

TEST(Docs, TablesInThemMatchTheProgram) {
  auto text = read_file("docs/manifest.md");
  ASSERT_TRUE(text) << text.error().what;
  std::string begin = "<!-- keys: begin -->\n", end = "<!-- keys: end -->";
  size_t from = text->find(begin), to = text->find(end);
  ASSERT_NE(from, std::string::npos);
  ASSERT_NE(to, std::string::npos);
  std::string table = text->substr(from + begin.size(), to - from - begin.size());
  if (std::getenv("BOTTLE_UPDATE_GOLDEN") && table != keys_markdown()) {
    std::string fresh = text->substr(0, from + begin.size()) + keys_markdown() + text->substr(to);
    ASSERT_TRUE(write_file_atomically("docs/manifest.md", fresh, 0644));
    return;
  }
  EXPECT_EQ(table, keys_markdown()) << "run the tests once with BOTTLE_UPDATE_GOLDEN=1";
}

TEST(Manifest, ReadsLimitsAndPrices) {
  auto manifest =
      parse({"p.yaml",
             "bottles:\n  base: {egress: {limit: {requests: 5k, cost: 20}, prices: {m-*: {input: 3, output: 1.5}}}}\n"
             "  w:\n    extends: [base]\n    egress:\n      limit: {requests: 7, tokens: 2M, bytes_up: 10m}\n"
             "      prices: {m-1: {input: 1, output: 2, cache_read: 0}}\n"
             "      allow: [{host: a.org, limit: {bytes_up: 1k}}, {host: b.org, limit: {tokens: 1}}]\n"});
  ASSERT_TRUE(manifest) << manifest.error().what;
  const Egress& egress = manifest->bottles["w"].egress;
  EXPECT_EQ(egress.limit, (Limit{7, 10 << 20, 0, 2'000'000, 20}));
  ASSERT_EQ(egress.prices.size(), 2u);
  EXPECT_EQ(egress.prices.at("m-*").cache_read, 3);
  EXPECT_EQ(egress.prices.at("m-*").output, 1.5);
  EXPECT_EQ(egress.prices.at("m-1").cache_read, 0);
  EXPECT_EQ(egress.allow[0].limit.bytes_up, 1024u);
  EXPECT_FALSE(egress.allow[0].inspect);
  EXPECT_TRUE(egress.allow[1].inspect) << "tokens are read from answers";
}

}  // namespace
}  // namespace bottle::manifest
