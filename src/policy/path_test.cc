// Tests what a rule with paths allows and refuses, with a table of attacks and one of names that people use.
#include <gtest/gtest.h>

#include "policy/overrides.h"
#include "policy/path.h"
#include "policy/rules.h"

namespace bottle::policy {
namespace {

PathGlob glob(std::string_view text) { return *PathGlob::compile(text); }

bool allows(const std::vector<std::string>& paths, const std::string& target) {
  Rules rules = *Rules::compile({{.host = "a.test", .paths = paths}});
  return rules.request(*normalise_host("a.test"), 443, "GET", target).allowed;
}

TEST(Path, HasOneCanonicalForm) {
  for (auto [target, canonical] :
       std::vector<std::pair<const char*, const char*>>{{"/", "/"},
                                                        {"/a", "/a"},
                                                        {"/a/", "/a/"},
                                                        {"/a/./b/../c?x=/../", "/a/c"},
                                                        {"/a/..", "/"},
                                                        {"/a/b/.", "/a/b/"},
                                                        {"/%61/%7e%2D", "/a/~-"},
                                                        {"/a/%2e%2E/b", "/b"},
                                                        {"/@acme%2fleft", "/@acme%2Fleft"},
                                                        {"/a%3ab:c", "/a%3Ab:c"},
                                                        {"/caf%c3%a9/%F0%9f%98%80", "/caf%C3%A9/%F0%9F%98%80"},
                                                        {"/a[0]/{b}|\"c\"", "/a%5B0%5D/%7Bb%7D%7C%22c%22"},
                                                        {"/a%20b", "/a%20b"}}) {
    auto path = judge_path(target);
    ASSERT_TRUE(path) << target << ": " << path.error().what;
    EXPECT_EQ(path->canonical, canonical) << target;
    auto again = judge_path(path->canonical);
    ASSERT_TRUE(again) << target;
    EXPECT_EQ(again->canonical, path->canonical) << "judged twice, on the way through two guards";
    EXPECT_EQ(again->readings, path->readings) << target;
  }
}

TEST(Path, AScopedPackageIsBelowItsScope) {
  for (const char* path : {"/@acme%2fleft", "/@acme%2Fleft/latest", "/@acme/left/-/left-1.0.0.tgz"})
    EXPECT_TRUE(allows({"/@acme/**"}, path)) << path;
  EXPECT_TRUE(allows({"/npm/@acme/*"}, "/npm/@acme%2fleft"));
  for (const char* path : {"/@other%2fleft", "/@acme%2fleft%2fright", "/@acme%2f..%2fleft", "/@acme%2f", "/@%2fleft",
                           "/x@acme%2fleft", "/@acme%252fleft", "/@acme%2fl%25", "/@acme%2fleft;x", "/%40acme%2fleft"})
    EXPECT_FALSE(allows({"/@acme/**"}, path)) << path;
  EXPECT_FALSE(allows({"/@acme/left/**"}, "/@acme%2fright/left/x"));
  EXPECT_FALSE(allows({"/*"}, "/@acme%2fleft")) << "a server that decodes sees two segments";
}

// Each of these paths was an attempt to leave /repos/me/**, or is a variant of one.
TEST(Path, AttacksDoNotLeaveTheirRule) {
  const std::vector<std::string> attacks = {
      // dot segments, plain and escaped
      "/repos/me/../other", "/repos/me/%2e%2e/other", "/repos/me/%2e./other", "/repos/me/x/../../other", "/repos/me/..",
      "/repos/me/../../../x", "/..", "*", "http://x/",
      // parameters (Tomcat and others drop them, then resolve)
      "/repos/me/;/../other", "/repos/me/;x/../other", "/repos/me/;x/../../other", "/repos/me/x;/../../other",
      "/repos/me/..;/other", "/repos/me/..;x=1/other", "/repos/me/.;/x", "/repos/me/%3b/../other",
      "/repos/me/..%3b/other", "/repos/me/..%3Bx/other", "/repos/me/%2e%2e;/other", "/repos/me/;", "/repos/me/;x",
      "/repos/me/a;b/../c",
      // invalid UTF-8: overlong dots and slashes, cut characters, surrogates, beyond the last character
      "/repos/me/%c0%ae%c0%ae/other", "/repos/me/%c0%ae./other", "/repos/me/..%c0%afother",
      "/repos/me/%e0%80%ae%e0%80%ae/other", "/repos/me/%f0%80%80%ae/x", "/repos/me/%c0%2e/x", "/repos/me/%ff",
      "/repos/me/%c3", "/repos/me/%ed%a0%80", "/repos/me/%f4%90%80%80", "/repos/me/%80", "/repos/me/x%c2",
      // characters that become dots and slashes: full width, leaders, small forms, best fit
      "/repos/me/%ef%bc%8e%ef%bc%8e/other", "/repos/me/%e2%80%a4%e2%80%a4/other", "/repos/me/%e2%80%a5/other",
      "/repos/me/%ef%b9%92%ef%b9%92/other", "/repos/me/..%ef%bc%8fother", "/repos/me/..%e2%81%84other",
      "/repos/me/..%e2%88%95other", "/repos/me/..%ef%bc%bcother", "/repos/me/..%ef%b9%a8other",
      "/repos/me/%ef%bc%852e%ef%bc%852e/x", "/repos/me/..%ef%bc%9b/x", "/repos/me/..%cd%be/x",
      "/repos/me/..%c2%a5other", "/repos/me/%e2%84%80",
      // spaces and invisible characters around dots (Windows, some file systems)
      "/repos/me/..%20/other", "/repos/me/%20../other", "/repos/me/.%20./other", "/repos/me/..%20.",
      "/repos/me/.../other", "/repos/me/....//other", "/repos/me/..%c2%a0/other", "/repos/me/..%e2%80%8c/other",
      "/repos/me/..%ef%bb%bf/other", "/repos/me/%e3%80%80../other", "/repos/me/..%c2%ad/other", "/repos/me/%20/other",
      "/repos/me/..%20;x/other",
      // backslashes, control characters, NUL
      "/repos/me/..\\other", "/repos/me/..%5cother", "/repos/me\\..\\other", "/repos/me/%5c..%5cother", "/repos/me/%00",
      "/repos/me/x%00.png", "/repos/me/..%00/other", "/repos/me/..%0a/other", "/repos/me/..%09/other", "/repos/me/%7f",
      "/repos/me/..%c2%85/other", "/repos/me/%e2%80%a8",
      // encoded twice, and more; other escapes
      "/repos/me/%252e%252e/other", "/repos/me/..%252fother", "/repos/me/..%255cother", "/repos/me/%25252e/x",
      "/repos/me/%2525", "/repos/me/%25%32%65%25%32%65/x", "/repos/me/%%32%65", "/repos/me/%u002e%u002e/x",
      "/repos/me/%25u002e%25u002e/x", "/repos/me/%2500", "/repos/me/%253b", "/repos/me/%25c0%25ae", "/repos/me/%zz",
      "/repos/me/%", "/repos/me/%2",
      // encoded slashes that hide a dot segment, and two slashes in a row
      "/repos/me/..%2fother", "/repos/me/x%2f..%2f..%2fother", "/repos/me%2f..%2fother", "/repos/me/%2e%2e%2fother",
      "/repos/me%2fx", "/repos/me/%2f", "/repos/me/x%2f", "/repos/me/x%2f%2fy", "/repos/me//x", "//repos/me/x",
      "/repos//me/x", "/repos/me/%2f..%2f..%2fother", "/repos/me/x%2f.%2fy", "/repos/me/x%2f..;%2fy", "/repos%2fme/x",
      // an encoded "?" and "#", and a fragment
      "/repos/me/%3f/../other", "/repos/me/x%23", "/repos/me/x#/../../other",
      // too long
      "/repos/me/" + std::string(9000, 'x')};
  for (const auto& target : attacks) EXPECT_FALSE(allows({"/repos/me/**"}, target)) << target;
  // One server reads "secret-public", and another one reads "secret".
  EXPECT_FALSE(allows({"/repos/*-public/**"}, "/repos/secret;-public/x"));
  EXPECT_FALSE(allows({"/files/*.png"}, "/files/key;.png"));
  EXPECT_FALSE(allows({"/*-public"}, "/secret%2fx-public")) << "a star does not go across slashes, in no reading";
  EXPECT_FALSE(allows({"/acme/**"}, "/acme%2fleft")) << "a server that does not decode sees another directory";
  EXPECT_FALSE(allows({"/@acme%2f*"}, "/@acme/left")) << "nor this one";
  EXPECT_FALSE(allows({"/a%2ab"}, "/axb")) << "a star that is escaped is not a wildcard";
}

TEST(Path, RulesCanNameCommonPaths) {
  for (auto [paths, target] : std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{"/repos/me/**"}, "/repos/me/x?y=1&z=/../"},
           {{"/repos/me/**"}, "/repos/me/a/%62/c.d/e..f/.git/..x/x..."},
           {{"/repos/me/**"}, "/repos/me/compare/main...feature"},
           {{"/repos/me/**"}, "/repos/me/a%20b/caf%c3%a9/%E6%97%A5%E6%9C%AC/%F0%9F%91%A9%E2%80%8D%F0%9F%92%BB"},
           {{"/repos/me/**"}, "/repos/me/v1:publish/@x/a+b=c,d;e=f/$x!'(*)~"},
           {{"/repos/me/**"}, "/repos/me/x[0]/{id}"},
           {{"/repos/me/**"}, "/repos/me/100%25"},
           {{"/repos/me/*"}, "/repos/me/./x"},
           // npm: names with a scope
           {{"/@acme%2f*", "/@acme/**"}, "/@acme%2fleft"},
           {{"/@acme%2f*", "/@acme/**"}, "/@acme%2Fleft"},
           {{"/@acme%2f*", "/@acme/**"}, "/@acme/left/-/left-1.0.0.tgz"},
           {{"/@acme%2f*"}, "/@acme%2fleft"},
           {{"/%40acme%2F*"}, "/@acme%2fleft"},
           {{"/-/package/@acme%2fleft/dist-tags"}, "/-/package/@acme%2fleft/dist-tags"},
           // GitLab: projects
           {{"/api/v4/projects/group%2Fproject/**"}, "/api/v4/projects/group%2Fproject/issues/7"},
           {{"/api/**"}, "/api/v4/projects/group%2Fsub%2Fproject"},
           // apt: epochs in the names of files, which a client escapes once or twice; plus signs and tildes
           {{"/pool/**"}, "/pool/main/g/g%2b%2b/g%2b%2b_4%3a12.2.0-3%7edeb12_amd64.deb"},
           {{"/pool/**"}, "/pool/main/v/vim_2%253a9.0.1378-2_amd64.deb"},
           {{"/pool/main/g/g++_4:12.deb"}, "/pool/main/g/g%2b%2b_4%3a12.deb"},
           {{"/pool/vim_2%253a9.deb"}, "/pool/vim_2%253a9.deb"},
           // Go's modules, OCI images, buckets
           {{"/github.com/**"}, "/github.com/!burnt!sushi/toml/@v/v1.0.0.info"},
           {{"/v2/**"}, "/v2/library/debian/manifests/sha256:0123abcd"},
           {{"/bucket/**"}, "/bucket/a=1/b%3D2/c%26d"}})
    EXPECT_TRUE(allows(paths, target)) << target;
}

TEST(Path, OneGlobAllowsEveryPath) {
  for (const char* any : {"/**", "**"})
    for (const char* target : {"/", "/a//b", "/a/../b", "/;x/../", "/%00", "/%c0%ae", "/%zz", "/a\\b", "/x%252e", "*"})
      EXPECT_TRUE(allows({any}, target)) << target;
  // The rule leaves such a path unchanged. A judged path goes upstream in its canonical form.
  Rules rules = *Rules::compile({{.host = "a.test", .methods = {"GET"}, .paths = {"/**"}},
                                 {.host = "a.test", .methods = {"POST"}, .paths = {"/in/**"}}});
  auto host = *normalise_host("a.test");
  EXPECT_EQ(rules.request(host, 443, "GET", "/in/../x?y").target, "");
  EXPECT_EQ(rules.request(host, 443, "POST", "/in/./%78?y=%2e").target, "/in/x?y=%2e");
}

TEST(Path, GlobsMatch) {
  auto matches = [](std::string_view pattern, std::string_view path) {
    return all_allowed({glob(pattern)}, *judge_path(path));
  };
  EXPECT_TRUE(matches("/a/*", "/a/b"));
  EXPECT_FALSE(matches("/a/*", "/a/b/c"));
  EXPECT_TRUE(matches("/a/**", "/a/b/c"));
  EXPECT_TRUE(matches("/a/**/z", "/a/b/c/z"));
  EXPECT_FALSE(matches("/a/**", "/b/a/"));
  EXPECT_TRUE(matches("**/x", "/anything/x"));
  EXPECT_FALSE(matches("/a", "/a/"));
  EXPECT_TRUE(matches("/a%2a", "/a*"));
  EXPECT_TRUE(matches("/a*", "/a%2a%2a"));
  // A backtracking matcher would take exponential time.
  EXPECT_FALSE(matches("/**a**a**a**a**a**a**a**a**b", "/" + std::string(5000, 'a')));
  for (const char* bad : {"a", "", "*", "/%", "/%2", "/%zz"}) EXPECT_FALSE(PathGlob::compile(bad)) << bad;
}

TEST(Overrides, AreRecognizedInEverySpelling) {
  for (const char* name : {"X-HTTP-Method-Override", "x-http-method", "X-METHOD-OVERRIDE", "X-Original-URL",
                           "X-Rewrite-Url", "X_HTTP_Method_Override", "X.HTTP.Method", "x-forwarded-uri",
                           "X-Original-Path", "X-Forwarded-Host", "Forwarded", "X-Host-Override",
                           "X-Original-Request-URI", "X-HTTP-Verb", "X-HTTP-Host-Override", "X-HTTP-Verb-Override"})
    EXPECT_TRUE(overrides_request(name)) << name;
  for (const char* name : {"X-Forwarded-For", "X-Requested-With", "Method", "X-", "Accept", "X-HTTP-Method-Overrides"})
    EXPECT_FALSE(overrides_request(name)) << name;
  for (const char* name : {"Destination", "destination", "x-amz-copy-source", "X_MS_Copy_Source", "x-amz-rename-source",
                           "x-ms-file-rename-source", "X-Symlink-Target", "X-Object-Manifest", "x-tos-copy-source",
                           "x-bce-copy-source", "x-kss-copy-source"})
    EXPECT_TRUE(names_other_path(name)) << name;
  EXPECT_FALSE(names_other_path("Location"));
}

TEST(Overrides, InAQueryCountAsMethods) {
  using List = std::vector<std::string>;
  EXPECT_EQ(methods_in_query("/a?x=1&_method=delete&_method=PUT&_method=DELETE"), (List{"DELETE", "PUT"}));
  EXPECT_EQ(methods_in_query("/a?%5Fmethod=%64elete"), (List{"DELETE"}));
  EXPECT_EQ(methods_in_query("/a?x;_METHOD=put"), (List{"PUT"}));
  EXPECT_EQ(methods_in_query("/a?+.method[]=put&$httpMethod=PATCH"), (List{"PUT", "PATCH"}));
  EXPECT_EQ(methods_in_query("/a?x-http-method-override=PUT&_HttpMethod=X"), (List{"PUT", "X"}));
  EXPECT_EQ(methods_in_query("/a?method=delete&my_method=x&_method=&_method"), List{});
  EXPECT_EQ(methods_in_query("/a?_method%00x=delete"), (List{"DELETE"})) << "as PHP reads it";
  EXPECT_EQ(methods_in_query("/_method=delete"), List{});

  Rules rules = *Rules::compile({{.host = "a.test", .methods = {"GET", "POST"}}, {.host = "b.test", .paths = {"/x"}}});
  auto a = *normalise_host("a.test"), b = *normalise_host("b.test");
  EXPECT_FALSE(rules.request(a, 443, "GET", "/x?_method=DELETE").allowed);
  EXPECT_TRUE(rules.request(a, 443, "GET", "/x?_method=POST").allowed) << "what it asks for is allowed";
  EXPECT_TRUE(rules.request(b, 443, "GET", "/x?_method=DELETE").allowed) << "so is every method";
}

// Each of them is judged, and an agent chooses how many there are.
TEST(Overrides, OfMoreMethodsThanAClientNeedsAreRefused) {
  Rules rules = *Rules::compile({{.host = "a.test", .paths = {"/x"}}});
  auto asks_for = [&](size_t methods) {
    std::string target = "/x?y";
    for (size_t i = 0; i < methods; ++i) target += "&_method=M" + std::to_string(i);
    return rules.request(*normalise_host("a.test"), 443, "GET", target);
  };
  EXPECT_TRUE(asks_for(kMostQueryMethods).allowed);
  EXPECT_FALSE(asks_for(kMostQueryMethods + 1).allowed);
  EXPECT_EQ(asks_for(4000).lacks, Lacks::query) << asks_for(4000).reason;
}

TEST(Overrides, AreJudgedByThemselves) {
  Rules rules = *Rules::compile({{.host = "a.test", .methods = {"GET"}, .paths = {"/in/**"}},
                                 {.host = "a.test", .methods = {"POST"}, .paths = {"/in/new/**"}}});
  auto request = [&](const char* target) { return rules.request(*normalise_host("a.test"), 443, "GET", target); };
  EXPECT_EQ(request("/in/new/./x?_method=POST").target, "/in/new/x?_method=POST");
  EXPECT_FALSE(request("/in/x?_method=POST").allowed);
  EXPECT_EQ(request("/in/x?_method=POST").reason, "the query asks for the method POST, and no rule allows this path");
  EXPECT_EQ(request("/in/x?_method=PUT").reason, "the query asks for the method PUT, and no rule allows this method");
  EXPECT_EQ(request("/in/x?_method=PUT").lacks, Lacks::query);
  EXPECT_EQ(request("/x?_method=PUT").lacks, Lacks::path) << "the request line comes first";
}

TEST(Percent, EscapesAreDecodedOnce) {
  EXPECT_EQ(percent_decoded("http%3A%2F%2Fa%2"), "http://a%2");
  EXPECT_EQ(percent_decoded("%253A%zz%-1"), "%3A%zz%-1");
  EXPECT_EQ(percent_decoded("a+b%2b"), "a+b+");
}

}  // namespace
}  // namespace bottle::policy
