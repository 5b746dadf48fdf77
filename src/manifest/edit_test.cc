#include <gtest/gtest.h>

#include <array>

#include "manifest/edit.h"

namespace bottle::manifest {
namespace {

const AllowRule kPlain{.host = "new.example.org"};
const AllowRule kNarrow{
    .host = "*.example.org", .ports = {8443}, .methods = {"GET"}, .paths = {"/a/**"}, .inspect = true};

std::string added(const std::string& text, const AllowRule& rule = kPlain, const std::string& path = "/c/bottle.yaml") {
  auto edited = with_rule({path, text}, "web", rule);
  return edited ? *edited : "error: " + edited.error().what;
}

TEST(Edit, ABlockListGrowsAtItsEndAndKeepsItsComments) {
  EXPECT_EQ(added("# mine\nbottles:\n  web:\n    egress:\n      allow:\n        # the registry\n        - "
                  "packages.example.org  # needed\n        - {host: a.example.org,\n"
                  "           methods: [GET]}\n\n      # last\n      on_secret: block\n  other: {}\nagents:\n  a: "
                  "{bottle: web}\n"),
            "# mine\nbottles:\n  web:\n    egress:\n      allow:\n        # the registry\n        - "
            "packages.example.org  # needed\n        - {host: a.example.org,\n"
            "           methods: [GET]}\n        - new.example.org\n\n      # last\n      on_secret: block\n  other: "
            "{}\nagents:\n  a: {bottle: web}\n");
  EXPECT_EQ(added("bottles:\n  web:\n    egress:\n      allow:\n      - a.example.org", kNarrow),
            "bottles:\n  web:\n    egress:\n      allow:\n      - a.example.org\n      - {host: \"*.example.org\", "
            "ports: [8443], methods: [GET], paths: [\"/a/**\"]}\n");
}

TEST(Edit, ExtendsOneLineListsAndAddsMissingKeys) {
  EXPECT_EQ(added("bottles: {web: {egress: {allow: [a.example.org]}}}\n"),
            "bottles: {web: {egress: {allow: [new.example.org, a.example.org]}}}\n");
  EXPECT_EQ(added("bottles:\n  web:\n    egress: {allow: []}  # none\n"),
            "bottles:\n  web:\n    egress: {allow: [new.example.org]}  # none\n");
  EXPECT_EQ(added("bottles:\n  web:\n    egress:\n      on_secret: warn\n"),
            "bottles:\n  web:\n    egress:\n      allow:\n        - new.example.org\n      on_secret: warn\n");
  EXPECT_EQ(added("bottles:\n  web:\n    # why\n    workspace: copy\n"),
            "bottles:\n  web:\n    # why\n    egress:\n      allow:\n        - new.example.org\n    workspace: copy\n");
  EXPECT_EQ(added("bottles:\n  web: {workspace: copy}\n"),
            "bottles:\n  web: {egress: {allow: [new.example.org]}, workspace: copy}\n");
}

TEST(Edit, WritesJson) {
  EXPECT_EQ(added(R"({"bottles": {"web": {"egress": {"allow": ["a.example.org"]}}}})", kNarrow, "/c/bottle.json"),
            R"({"bottles": {"web": {"egress": {"allow": [{"host": "*.example.org", "ports": [8443], "methods": )"
            R"(["GET"], "paths": ["/a/**"]}, "a.example.org"]}}}})"
            "\n");
  EXPECT_EQ(added(R"({"bottles": {"web": {"workspace": "copy"}}})", kPlain, "/c/bottle.json"),
            R"({"bottles": {"web": {"egress": {"allow": ["new.example.org"]}, "workspace": "copy"}}})"
            "\n");
}

TEST(Edit, LeavesFormsThatItCannotEdit) {
  // With an alias, the rule would also apply to another bottle.
  EXPECT_TRUE(
      added("bottles:\n  base:\n    egress: &e\n      allow:\n        - a.example.org\n  web:\n    egress: *e\n")
          .starts_with("error: "));
  EXPECT_TRUE(added("bottles:\n  web:\n").starts_with("error: "));
  EXPECT_TRUE(added("bottles:\n  web:\n    egress:\n    workspace: copy\n").starts_with("error: "));
  EXPECT_EQ(with_rule({"/c/bottle.yaml", "bottles: {other: {}}"}, "web", kPlain).error().code, Code::not_found);
  EXPECT_EQ(with_rule({"/h/claude-bottle.json", "{}"}, "web", kPlain).error().code, Code::unavailable);
  EXPECT_TRUE(added("bottles: [").starts_with("error: "));
}

std::string limited(const std::string& text, const std::string& host, const std::vector<LimitText>& limits,
                    const std::string& path = "/c/bottle.yaml") {
  auto edited = with_limits({path, text}, "web", host, limits);
  return edited ? *edited : edited.error().what;
}

TEST(Edit, LimitsAreWrittenWhereTheyBelong) {
  const std::vector<LimitText> two = {{"requests", "200"}, {"bytes_up", "10m"}};
  const std::string begin = "bottles:\n  web:  # the one\n    egress:\n";
  for (auto [before, host, after] : std::vector<std::array<std::string, 3>>{
           {"      allow: [a.org, 'b.org']\n", "b.org",
            "      allow: [a.org, {host: 'b.org', limit: {bytes_up: 10m, requests: 200}}]\n"},
           {"      allow:\n        - a.org  # kept\n", "a.org",
            "      allow:\n        - {host: a.org, limit: {bytes_up: 10m, requests: 200}}  # kept\n"},
           {"      allow:\n        - {host: a.org, methods: [GET]}\n", "a.org",
            "      allow:\n        - {limit: {bytes_up: 10m, requests: 200}, host: a.org, methods: [GET]}\n"},
           {"      allow:\n        - host: a.org\n          methods: [GET]\n", "a.org",
            "      allow:\n        - host: a.org\n          limit: {bytes_up: 10m, requests: 200}\n          methods: "
            "[GET]\n"},
           {"      allow:\n        - host: a.org\n          limit:\n            requests: 7  # few\n", "a.org",
            "      allow:\n        - host: a.org\n          limit:\n            bytes_up: 10m\n            requests: "
            "200  # "
            "few\n"},
           {"      limit: {requests: 5000, names: 20}\n", "",
            "      limit: {bytes_up: 10m, requests: 200, names: 20}\n"},
           {"      allow: [a.org]\n", "", "      limit: {bytes_up: 10m, requests: 200}\n      allow: [a.org]\n"}})
    EXPECT_EQ(limited(begin + before, host, two), begin + after);
  EXPECT_EQ(limited(R"({"bottles": {"web": {"egress": {"allow": ["a.org"]}}}})", "a.org", two, "/c/bottle.json"),
            R"({"bottles": {"web": {"egress": {"allow": [{"host": "a.org", )"
            R"("limit": {"bytes_up": "10m", "requests": 200}}]}}}})"
            "\n");
}

TEST(Edit, LimitsThatCannotBeWrittenChangeNothing) {
  const std::string text = "bottles: {web: {egress: {allow: [a.org]}}, bare: {}}\n";
  const std::vector<LimitText> one = {{"requests", "5"}};
  EXPECT_EQ(with_limits({"/c/bottle.yaml", text}, "other", "", one).error().code, Code::not_found);
  for (auto [bottle, host, name] :
       std::vector<std::array<std::string, 3>>{{"web", "b.org", "requests"}, {"bare", "", "requests"}})
    EXPECT_EQ(with_limits({"/c/bottle.yaml", text}, bottle, host, {{name, "5"}}).error().code, Code::unavailable);
  EXPECT_FALSE(with_limits({"/c/bottle.yaml", text}, "web", "", {{"names", "5000"}}));
  const std::string anchored = "bottles: {web: {egress: &e {allow: [a.org]}}, other: {egress: *e}}\n";
  EXPECT_FALSE(with_limits({"/c/bottle.yaml", anchored}, "web", "", one));
}

// A bare rule beside the restricted one of a preset or a base would allow everything.
TEST(Edit, NoRuleIsProposedForAHostWhoseRuleIsElsewhere) {
  const std::string text =
      "bottles: {web: {extends: [base, elsewhere], egress: {presets: [npm]}}, base: {extends: [web], egress: {allow: "
      "[{host: A.org, methods: [GET]}]}}}\n";
  for (auto [host, todo] : std::vector<std::array<std::string, 2>>{
           {"registry.npmjs.org", "the rule comes from the preset npm: limit the whole session"},
           {"a.org",
            "the rule is in the bottle 'base': run the same command with `--save --bottle base` and without "
            "a session"},
           {"b.org", "write the rule into bottles.web.egress.allow yourself, with its limit and only with"}}) {
    auto edited = with_limits({"/c/bottle.yaml", text}, "web", host, {{"requests", "5"}});
    ASSERT_FALSE(edited);
    EXPECT_TRUE(edited.error().todo.starts_with(todo)) << edited.error().todo;
  }
}

TEST(Edit, LimitsOfABottleWhoseBasesAreInOtherFiles) {
  EXPECT_EQ(limited("bottles: {web: {extends: [elsewhere], egress: {allow: [A.org]}}}\n", "a.org", {{"requests", "5"}}),
            "bottles: {web: {extends: [elsewhere], egress: {allow: [{host: A.org, limit: {requests: 5}}]}}}\n");
}

TEST(Edit, ARuleThatIsThereIsNotAddedAgain) {
  for (const std::string list :
       {"[new.example.org]", "[{host: new.example.org, limit: {requests: 5}, inspect: true}]",
        "[{host: \"*.example.org\", paths: [/a/**], methods: [GET], ports: [8443]}, new.example.org]"}) {
    const std::string text = "bottles: {web: {egress: {allow: " + list + "}}}";
    EXPECT_EQ(added(text), text);
    EXPECT_EQ(added(text, kNarrow) == text, list.contains('*'));
  }
  // This one allows less, and the other bottle's does not count.
  const std::string less =
      "bottles: {web: {egress: {allow: [{host: new.example.org, methods: [GET]}]}}, b: {egress: {allow: "
      "[new.example.org]}}}\n";
  EXPECT_NE(added(less), less);
}

}  // namespace
}  // namespace bottle::manifest
