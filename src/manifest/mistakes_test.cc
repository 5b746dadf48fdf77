// Tests every kind of mistake, with its exact position and the suggestion.
#include <gtest/gtest.h>

#include "manifest/manifest.h"

namespace bottle::manifest {
namespace {

struct Mistake {
  std::string text;
  const char* at;    // the beginning of the error
  const char* todo;  // a part of the suggestion; "" accepts any
};

class Mistakes : public ::testing::TestWithParam<Mistake> {};

TEST_P(Mistakes, AreReportedWithTheirPosition) {
  auto result = parse({"p.yaml", GetParam().text});
  ASSERT_FALSE(result) << GetParam().text;
  EXPECT_EQ(result.error().code, Code::invalid);
  EXPECT_TRUE(result.error().what.starts_with(GetParam().at)) << result.error().what;
  EXPECT_NE(result.error().todo.find(GetParam().todo), std::string::npos) << result.error().todo;
}

Mistake not_a_version(const std::string& text) {
  return {"agents: {r: {version: " + text + "}}\n", "p.yaml:1:23: version: expected an exact version such as 2.1.3",
          ""};
}

Mistake not_a_host(const std::string& text, const char* todo = "") {
  return {"bottles: {w: {egress: {allow: [" + text + "]}}}\n", "p.yaml:1:32: allow: expected a host", todo};
}

const std::string kIntegrity = "sha512-" + std::string(86, 'A') + "==";

INSTANTIATE_TEST_SUITE_P(
    Yaml, Mistakes,
    ::testing::Values(
        // Keys
        Mistake{"bottle:\n  a: {}\n", "p.yaml:1:1: unknown key 'bottle'", "did you mean 'bottles'?"},
        Mistake{"bottles:\n  web:\n    egres: {allow: []}\n", "p.yaml:3:5: unknown key 'egres'", "'egress'"},
        Mistake{"bottles:\n  web:\n    egress:\n      alow: []\n", "p.yaml:4:7: unknown key 'alow'", "'allow'"},
        Mistake{"bottles:\n  web: {resources: {memroy: 4g}}\n", "p.yaml:2:21: unknown key 'memroy'", "'memory'"},
        Mistake{"bottles: {w: {egress: {limit: {request: 1}}}}\n", "p.yaml:1:32: unknown key 'request'", "'requests'"},
        Mistake{"bottles: {w: {egress: {limit: {requests: 0}}}}\n", "p.yaml:1:42: requests: expected a number", ""},
        Mistake{"bottles: {w: {egress: {limit: {bytes_up: 1x}}}}\n", "p.yaml:1:42: bytes_up: expected a size", ""},
        Mistake{"bottles: {w: {egress: {limit: {names: 4001}}}}\n",
                "p.yaml:1:39: names: the guard can count at most 4000 hosts", "lower"},
        Mistake{"bottles: {w: {egress: {limit: {cost: 20 USD}}}}\n", "p.yaml:1:38: cost: expected a number", ""},
        Mistake{"bottles: {w: {egress: {prices: {m: {input: 1}}}}}\n", "p.yaml:1:36: 'output' is missing", ""},
        Mistake{"bottles: {w: {egress: {allow: [{host: a.org, inspect: false, limit: {tokens: 1}}]}}}\n",
                "p.yaml:1:55: inspect: the guard cannot count tokens", "limits of tokens"},
        Mistake{"bottles: {w: {zzzzzz: 1}}\n", "p.yaml:1:15: unknown key 'zzzzzz'", "one of: extends"},
        Mistake{"bottles: {w: {git: [{remote: \"ssh://g@h/a\"}]}}\n", "p.yaml:1:15: unknown key 'git'", "under `ssh`"},
        Mistake{"bottles:\n  a: {}\n  a: {}\n", "p.yaml:3:3: 'a' appears twice", "p.yaml:2:6"},
        Mistake{"bottles:\n  ? [a, b]\n  : {}\n", "p.yaml:2:5: a key must be text", ""},
        Mistake{"bottles: {w: {env: {1X: a}}}\n", "p.yaml:1:21: env: expected the name of a variable", ""},
        Mistake{"bottles: {\"a b\": {}}\n", "p.yaml:1:11: bottles: expected a name", ""},
        // Types
        Mistake{"[]\n", "p.yaml:1:1: manifest: expected keys and values, found a list", ""},
        Mistake{"bottles: [a]\n", "p.yaml:1:10: bottles: expected keys and values, found a list", ""},
        Mistake{"bottles:\n  w:\n    packages: git\n", "p.yaml:3:15: packages: expected a list, found 'git'",
                "write [git]"},
        Mistake{"bottles:\n  w:\n    image: [x]\n", "p.yaml:3:12: image: expected text, found a list", ""},
        Mistake{"bottles:\n  w:\n    image:\n", "p.yaml:3:5: image: expected text, found nothing", ""},
        Mistake{"bottles: {w: {egress: block}}\n", "p.yaml:1:23: egress: expected keys and values, found 'block'", ""},
        Mistake{"bottles: {w: {egress: {allow: [[a]]}}}\n", "p.yaml:1:32: allow: expected a host, or {host:", ""},
        Mistake{"bottles: {w: {env: {A: {b: c}}}}\n", "p.yaml:1:25: unknown key 'b'", "secret"},
        Mistake{"bottles: {w: {env: {A: [b]}}}\n", "p.yaml:1:24: env.A: expected a literal", ""},
        Mistake{"bottles: {w: {env: {A: {secret: true}}}}\n", "p.yaml:1:24: 'value' is missing", "The value"},
        Mistake{"bottles: {w: {env: {A: {value: b, secret: maybe}}}}\n", "p.yaml:1:43: secret: expected true", ""},
        Mistake{"bottles: {w: {scan: {secrets: .env}}}\n", "p.yaml:1:31: secrets: expected a list", "write [.env]"},
        Mistake{"bottles: {w: {egress: {on_injection: redact}}}\n",
                "p.yaml:1:38: on_injection: expected one of block|warn", ""},
        // Values
        Mistake{"bottles:\n  w: {workspace: clon}\n",
                "p.yaml:2:18: workspace: expected one of none|copy|clone|bind, found 'clon'", "'clone'"},
        Mistake{"bottles: {w: {egress: {on_secret: blok}}}\n",
                "p.yaml:1:35: on_secret: expected one of block|redact|warn", "'block'"},
        Mistake{"agents: {r: {provider: cluade}}\n", "p.yaml:1:24: provider: expected one of", "'claude'"},
        Mistake{"bottles: {w: {resources: {disk: all}}}\n", "p.yaml:1:33: disk: expected a size", ""},
        Mistake{"bottles: {w: {resources: {shm: all}}}\n", "p.yaml:1:32: shm: expected a size", ""},
        Mistake{"bottles: {w: {resources: {memory: 4x}}}\n", "p.yaml:1:35: memory: expected a size", ""},
        Mistake{"bottles: {w: {resources: {memory: 4k}}}\n", "p.yaml:1:35: memory: expected a size", ""},
        Mistake{"bottles: {w: {resources: {memory: -4g}}}\n", "p.yaml:1:35: memory: expected a size", ""},
        Mistake{"bottles: {w: {resources: {memory: 999999999999t}}}\n", "p.yaml:1:35: memory: expected a size", ""},
        Mistake{"bottles: {w: {resources: {cpus: 0}}}\n", "p.yaml:1:33: cpus: expected a number above 0", ""},
        Mistake{"bottles: {w: {resources: {cpus: nan}}}\n", "p.yaml:1:33: cpus: expected a number", ""},
        Mistake{"bottles: {w: {resources: {pids: 2.5}}}\n", "p.yaml:1:33: pids: expected a whole number", ""},
        Mistake{"bottles: {w: {packages: [\"-oAPT\"]}}\n",
                "p.yaml:1:26: packages: expected the name of a Debian package", ""},
        // Pins
        not_a_version("latest"), not_a_version("^2.1.3"), not_a_version("2.1"), not_a_version("2..3"),
        not_a_version("2.1.3-"),
        Mistake{"agents: {r: {version: 2.1.3, integrity: sha1-abc}}\n", "p.yaml:1:41: integrity: expected sha512-", ""},
        Mistake{"agents: {r: {version: 2.1.3, integrity: sha512-abc}}\n", "p.yaml:1:41: integrity: expected sha512-",
                ""},
        Mistake{"agents: {r: {version: 2.1.3, provider: shell}}\n",
                "p.yaml:1:23: agent 'r': version is for the programs of claude and codex, not for shell",
                "remove version"},
        Mistake{"agents: {r: {integrity: \"" + kIntegrity + "\"}}\n", "p.yaml:1:25: agent 'r': integrity needs version",
                "add version"},
        Mistake{"agents: {r: {version: 2.1.3, integrity: \"" + kIntegrity + " " + kIntegrity + "x\"}}\n",
                "p.yaml:1:41: integrity: expected sha512-", ""},
        Mistake{"bottles: {w: {env: {A: \"${A-b}\"}}}\n", "p.yaml:1:24: env.A: expected a literal", ""},
        // Hosts
        Mistake{"bottles:\n  w:\n    egress:\n      allow:\n        - https://a.example.org/x\n",
                "p.yaml:5:11: allow: expected a host", "write only the host: a.example.org"},
        not_a_host("\"a.example.org:8443\"", "{host: a.example.org, ports: [8443]}"),
        not_a_host("a.example.org/x", "paths: [\"/x\"]"),
        Mistake{"bottles: {w: {egress: {allow: [{host: \"a.*.org\"}]}}}\n", "p.yaml:1:39: host: expected a host",
                "*.example.org"},
        not_a_host("\"*example.org\"", "a star"), not_a_host("a.example.org.", "the dot at the end"),
        not_a_host("\"127.1\""), not_a_host("0x7f.1"), not_a_host("\"2130706433\""), not_a_host("a..b"),
        not_a_host("bücher.example", "xn--"),
        Mistake{"bottles: {w: {egress: {allow: [{methods: [GET]}]}}}\n", "p.yaml:1:32: 'host' is missing",
                "example.org"},
        Mistake{"bottles: {w: {egress: {allow: [{host: a.b, methods: [get]}]}}}\n",
                "p.yaml:1:54: methods: expected an HTTP method in capitals", ""},
        Mistake{"bottles: {w: {egress: {allow: [{host: a.b, methods: []}]}}}\n",
                "p.yaml:1:53: methods: the list is empty", "to allow any"},
        Mistake{"bottles: {w: {egress: {allow: [{host: a.b, methods: }]}}}\n",
                "p.yaml:1:44: methods: expected a list, found nothing", ""},
        Mistake{"bottles: {w: {egress: {allow: [{host: a.b, paths: [x]}]}}}\n",
                "p.yaml:1:52: paths: expected a path that begins with /", ""},
        Mistake{"bottles: {w: {egress: {allow: [{host: a.b, ports: [0]}]}}}\n", "p.yaml:1:52: ports: expected a port",
                ""},
        Mistake{"bottles: {w: {egress: {allow: [{host: a.b, paths: [\"/100%\"]}]}}}\n",
                "p.yaml:1:52: paths: expected a path that begins with /", ""},
        Mistake{"bottles: {w: {egress: {allow: [{host: a.b, paths: [/x], inspect: false}]}}}\n",
                "p.yaml:1:66: inspect: the guard cannot", ""},
        Mistake{"bottles: {w: {egress: {allow: [{host: a.b, on_secret: block, inspect: false}]}}}\n",
                "p.yaml:1:71: inspect: the guard cannot look for secrets", "remove `inspect: false`"},
        Mistake{"bottles: {w: {egress: {allow: [{host: a.b, on_injection: warn, inspect: false}]}}}\n",
                "p.yaml:1:73: inspect: the guard cannot look for secrets", "remove `inspect: false`"},
        Mistake{"bottles: {w: {egress: {limit: {cost: 0.0000001}}}}\n",
                "p.yaml:1:38: cost: expected a number from 0.000001", ""},
        Mistake{"bottles: {w: {egress: {allowed_secrets: [nope]}}}\n",
                "p.yaml:1:42: allowed_secrets: expected the fingerprint of a credential", ""},
        Mistake{"bottles: {w: {egress: {allowed_secrets: [3543C50B0CB9]}}}\n",
                "p.yaml:1:42: allowed_secrets: expected the fingerprint of a credential", ""},
        Mistake{"bottles: {w: {ssh: [{host: h, host_key: \"ssh-ed25519 hello\"}]}}\n",
                "p.yaml:1:41: host_key: expected a public key", ""},
        Mistake{"bottles: {w: {ssh: [{host: h, host_key: \"ssh-ed25519 AAAA*\"}]}}\n",
                "p.yaml:1:41: host_key: expected a public key", ""},
        Mistake{"bottles: {w: {egress: {hosts: {\"*.a.b\": 203.0.113.1}}}}\n",
                "p.yaml:1:32: hosts: expected a host name", ""},
        Mistake{"bottles: {w: {egress: {hosts: {a.b: example.org}}}}\n", "p.yaml:1:37: hosts.a.b: expected an address",
                ""},
        Mistake{"bottles: {w: {egress: {hosts: {a.b: \"[::1\"}}}}\n", "p.yaml:1:37: hosts.a.b: expected an address",
                ""},
        Mistake{"bottles: {w: {egress: {allow: [\"[::g]\"]}}}\n", "p.yaml:1:32: allow: expected a host", ""},
        Mistake{"bottles: {w: {egress: {parent_proxy: \"http://a b@p:1\"}}}\n",
                "p.yaml:1:38: parent_proxy: expected http://host:port", ""},
        Mistake{"bottles: {w: {egress: {parent_proxy_login: \"me:pw\"}}}\n",
                "p.yaml:1:44: parent_proxy_login: expected env:NAME", ""},
        Mistake{"bottles: {w: {egress: {parent_proxy: \"https://p:1\"}}}\n",
                "p.yaml:1:38: parent_proxy: expected http://host:port", ""},
        Mistake{"bottles: {w: {egress: {parent_proxy: \"http://[fd00::1]\"}}}\n",
                "p.yaml:1:38: parent_proxy: expected http://host:port", ""},
        Mistake{"bottles: {w: {egress: {lan: [{name: t, to: \"[fd00::1]\"}]}}}\n", "p.yaml:1:44: to: expected ip:port",
                ""},
        Mistake{"bottles: {w: {egress: {lan: [{name: t, to: \"fd00::1\"}]}}}\n", "p.yaml:1:44: to: expected ip:port",
                ""},
        Mistake{"bottles: {w: {egress: {lan: [{name: t, to: 10.0.0.1}]}}}\n", "p.yaml:1:44: to: expected ip:port", ""},
        // Secrets
        Mistake{"bottles: {w: {secrets: {g: {hosts: [a.b]}}}}\n", "p.yaml:1:28: 'from' is missing", "env:NAME"},
        Mistake{"bottles: {w: {secrets: {g: {from: TOKEN, hosts: [a.b]}}}}\n", "p.yaml:1:35: from: expected env:NAME",
                ""},
        Mistake{"bottles: {w: {secrets: {g: {from: env:T}}}}\n", "p.yaml:1:28: secret 'g' is not bound to any host",
                "hosts:"},
        Mistake{"bottles: {w: {secrets: {g: {from: env:T, hosts: []}}}}\n", "p.yaml:1:49: hosts: the list is empty",
                "name at least one host"},
        Mistake{"bottles: {w: {secrets: {g: {from: env:T, hosts: [\"*\"]}}}}\n",
                "p.yaml:1:49: secret 'g' is bound to every host", ""},
        Mistake{"bottles: {w: {secrets: {g: {from: env:T, hosts: [a.b], in: [path]}}}}\n",
                "p.yaml:1:61: in: expected one of header|query|body", "one of: header, query, body"},
        Mistake{"bottles: {w: {secrets: {g: {from: env:T, hosts: [a.b], in: []}}}}\n",
                "p.yaml:1:60: in: the list is empty", ""},
        Mistake{"bottles: {w: {secrets: {g: {from: env:T, hosts: [a.b], header: \"X: {}\", in: [query]}}}}\n",
                "p.yaml:1:64: secret 'g' has a header, but `in` does not have `header`", "in: [header, query]"},
        Mistake{"bottles: {w: {secrets: {g: {from: env:T, hosts: [a.b], header: \"X: y\"}}}}\n",
                "p.yaml:1:64: header: expected a header with {}", ""},
        Mistake{"bottles: {w: {secrets: {g: {from: env:T, hosts: [a.b], header: \"X: {}\\r\\nY: z\"}}}}\n",
                "p.yaml:1:64: header: expected", ""},
        // References
        Mistake{"bottles: {web: {}}\nagents:\n  r: {bottle: wed}\n", "p.yaml:3:15: agent 'r': there is no bottle 'wed'",
                "'web'"},
        Mistake{"bottles:\n  base: {}\n  web: {extends: [bse]}\n", "p.yaml:3:19: extends: there is no bottle 'bse'",
                "'base'"},
        Mistake{"bottles:\n  a: {extends: [b]}\n  b: {extends: [a]}\n",
                "p.yaml:3:17: extends has a cycle: "
                "a → b → a",
                "remove"},
        Mistake{"bottles:\n  a: {extends: [a]}\n", "p.yaml:2:17: extends has a cycle: a → a", ""},
        Mistake{"bottles: {w: {image: a, dockerfile: b}}\n", "p.yaml:1:37: image and dockerfile cannot", ""},
        Mistake{"agents: {r: {provider: command}}\n", "p.yaml:1:10: agent 'r': provider command needs", "command: ["},
        Mistake{"agents: {r: {command: [make]}}\n", "p.yaml:1:23: agent 'r': command needs", "provider: command"},
        // Not YAML at all
        Mistake{"bottles: {\n", "p.yaml:2:1: end of map", ""}, Mistake{"bottles:\n  a: b: c\n", "p.yaml:2:", "quotes"},
        Mistake{"a: &x [*x]\n", "p.yaml:", ""}, Mistake{"--- {}\n--- {}\n", "p.yaml:2:1: a second document", ""},
        Mistake{", x]\nb:0&b [*a~\xff\xff", "p.yaml:1:1: ", ""}));  // the library alone would never return

TEST(Mistakes, ExpandedAliasesAreLimited) {
  std::string text = "a: &a [x,x,x,x,x,x,x,x,x,x]\n";
  for (char c = 'b'; c < 'k'; ++c) {
    std::string before(1, static_cast<char>(c - 1));
    text += std::string(1, c) + ": &" + c + " [";
    for (int i = 0; i < 10; ++i) text += (i ? ",*" : "*") + before;
    text += "]\n";
  }
  auto result = parse({"p.yaml", text});
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().what.find("too large"), std::string::npos) << result.error().what;
}

TEST(Mistakes, DepthIsLimited) {
  EXPECT_FALSE(parse({"p.yaml", std::string(100000, '[')}));
  EXPECT_FALSE(parse({"p.yaml", std::string(40, '[') + std::string(40, ']')}));
  EXPECT_FALSE(parse({"p.yaml", std::string("a\0b: 1\n", 7)}));
}

// Returns the mistakes as lines.
std::string all(const std::vector<File>& policy, const std::vector<File>& agents = {}) {
  std::string lines;
  auto examined = examine(policy, {}, agents);
  for (const auto& mistake : examined.mistakes) lines += mistake.what + "\n";
  for (const auto& each : examined.manifest.unusable) lines += each.why.what + "\n";
  return lines;
}

TEST(Mistakes, AllAreFound) {
  EXPECT_EQ(all({{"p.yaml",
                  "botles: {}\n"
                  "bottles:\n"
                  "  a: {workspace: clon, egress: {allow: [{methods: [get]}, \"https://a.b\"]}}\n"
                  "  b: {image: x, dockerfile: y}\n"
                  "agents:\n"
                  "  c: {bottle: a, provider: command}\n"
                  "  d: {bottle: none}\n"
                  "vms:\n"
                  "  v: {provider: qemu, ttl: soon}\n"}}),
            "p.yaml:1:1: unknown key 'botles'\n"
            "p.yaml:3:18: workspace: expected one of none|copy|clone|bind, found 'clon'\n"
            "p.yaml:3:52: methods: expected an HTTP method in capitals, such as GET, found 'get'\n"
            "p.yaml:3:41: 'host' is missing\n"
            "p.yaml:3:59: allow: expected a host: example.org, *.example.org or *, without scheme, port or path, found "
            "'https://a.b'\n"
            "p.yaml:9:28: ttl: expected a time such as 90s, 30m, 2h or 1d, found 'soon'\n"
            "p.yaml:6:3: agent 'c': provider command needs a command\n"
            "p.yaml:4:29: image and dockerfile cannot be combined\n"
            "p.yaml:7:15: agent 'd': there is no bottle 'none'\n");
}

TEST(Mistakes, OneThatFollowsFromAnotherIsLeftOut) {
  // A bottle that extends a wrong one; an agent whose bottle may be in the file that is not YAML; a misspelled key.
  EXPECT_EQ(all({{"p.yaml", "bottles: {a: {image: [x]}, b: {extends: [a]}, c: {extends: [b]}}\n"}}),
            "p.yaml:1:22: image: expected text, found a list\n");
  std::string broken = all({{"p.yaml", "bottles: {\n"}, {"q.yaml", "agents: {r: {bottle: web}}\n"}});
  EXPECT_EQ(broken.find("q.yaml"), broken.npos) << broken;
  EXPECT_EQ(all({{"p.yaml", "bottles: {w: {secrets: {g: {form: env:T, hosts: [a.b]}}}}\n"}}),
            "p.yaml:1:29: unknown key 'form'\n");
  // The same mistake, met again where the bottle is extended.
  EXPECT_EQ(all({{"p.yaml", "bottles: {a: {image: x, dockerfile: y}, b: {extends: [a]}}\n"}}),
            "p.yaml:1:37: image and dockerfile cannot be combined\n");
}

TEST(Mistakes, AllOfAnAgentsFileAreFoundAndTheirNumberIsLimited) {
  EXPECT_EQ(all({}, {{"a.md", "---\nbotle: web\nskills: 7\nprovider: x\n---\n"}, {"b.md", "---\ntols: x\n---\n"}})
                    .find("b.md:2:1: unknown key 'tols'") != std::string::npos,
            true);
  std::string many = "---\n";
  for (int i = 0; i < 1000; ++i) many += "k" + std::to_string(i) + ": 1\n";
  EXPECT_EQ(examine({}, {{"a.md", many + "---\n"}}, {}).mistakes.size(), 100u);
  EXPECT_EQ(examine({}, {}, {{"a.md", many + "---\n"}}).manifest.unusable.size(), 100u);
}

class AgentMistakes : public ::testing::TestWithParam<Mistake> {};

TEST_P(AgentMistakes, AreReportedWithTheirPosition) {
  auto result = parse_agent({"agents/a.md", GetParam().text});
  ASSERT_FALSE(result) << GetParam().text;
  EXPECT_TRUE(result.error().what.starts_with(GetParam().at)) << result.error().what;
  EXPECT_NE(result.error().todo.find(GetParam().todo), std::string::npos) << result.error().todo;
}

INSTANTIATE_TEST_SUITE_P(
    Markdown, AgentMistakes,
    ::testing::Values(Mistake{"Just a prompt.\n", "agents/a.md:1:1: an agent's file begins with front matter", "---"},
                      Mistake{"---\nname: a\n", "agents/a.md:1:1: the front matter has no end", "---"},
                      Mistake{"---\nname: a\nbotle: web\n---\nx\n", "agents/a.md:3:1: unknown key 'botle'", "'bottle'"},
                      Mistake{"---\nname: ../x\n---\n", "agents/a.md:2:7: name: expected a name", ""},
                      Mistake{"---\nskills: [a, ../b]\n---\n", "agents/a.md:2:13: skills: expected a name", ""},
                      Mistake{"---\nskills: a, ../b\n---\n", "agents/a.md:2:9: skills: expected a name", ""},
                      Mistake{"---\nname: a\negress: {allow: ['*']}\n---\n", "agents/a.md:3:1: unknown key 'egress'",
                              ""},
                      Mistake{"---\nname: a\nversion: 2.1.3\n---\n", "agents/a.md:3:1: unknown key 'version'", ""},
                      Mistake{"---\ndescription: Use it: now\n---\n", "agents/a.md:2:", "quotes"},
                      Mistake{"---\nname: a\n---\n\xff\xfe\n", "agents/a.md:1:1: not a text file", ""}));

}  // namespace
}  // namespace bottle::manifest
