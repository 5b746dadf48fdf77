// Rules with methods and paths: what the server is asked is what was judged.
#include "guard/guard_test.h"

namespace bottle::guard {
namespace {

class RulesTest : public GuardTest {
 protected:
  // Answers with the first line of what it was asked.
  void start_with(
      json rule, const std::function<std::string(const std::string&)>& answer = [](const std::string& request) {
        return ok(request.substr(0, request.find('\r')));
      }) {
    origin_ = std::make_unique<Origin>(ca_.get(), "api.test", answer);
    route("api.test", origin_->port);
    rule["host"] = "api.test";
    allow(rule);
    start();
    wire_ = secure("api.test");
    ASSERT_TRUE(wire_.ssl);
  }
  // The answer to a request on the one connection.
  std::string ask(const std::string& line, const std::string& headers = "") {
    wire_.write(line + " HTTP/1.1\r\nHost: api.test\r\n" + headers + "\r\n");
    return wire_.message();
  }

  std::unique_ptr<Origin> origin_;
  Wire wire_;
};

TEST_F(RulesTest, APathGoesUpstreamAsItWasJudged) {
  start_with({{"methods", {"GET"}}, {"paths", {"/@acme%2f*", "/@acme/**", "/x/**"}}});
  for (auto [asked, seen] : std::vector<std::pair<const char*, const char*>>{
           {"/@acme%2fleft?write=true", "/@acme%2Fleft?write=true"},
           {"/@acme/left/-/left-1.0.0.tgz", "/@acme/left/-/left-1.0.0.tgz"},
           {"/x/./a/../%62?/../", "/x/b?/../"},
           {"/x/%E2%82%AC%3a%7e", "/x/%E2%82%AC%3A~"}})
    EXPECT_TRUE(ask(std::string("GET ") + asked).ends_with(std::string("GET ") + seen + " HTTP/1.1")) << asked;
  for (const char* path :
       {"/x/;/../y", "/x/%c0%ae%c0%ae/y", "/x/..%20/y", "/x/..%ef%bc%8fy", "/x%2fa", "/x/%2e%2e%2fy"})
    EXPECT_TRUE(ask(std::string("GET ") + path).starts_with("HTTP/1.1 403")) << path;
  EXPECT_EQ(origin_->last().substr(0, 9), "GET /x/%E");
}

TEST_F(RulesTest, AnyPathIsLeftAsItIs) {
  start_with({{"methods", {"GET"}}, {"paths", {"/**"}}});
  for (const char* path : {"/a//b", "/x/../%2e%2e/;y", "/%c0%ae", "/%zz"})
    EXPECT_TRUE(ask(std::string("GET ") + path).ends_with(std::string("GET ") + path + " HTTP/1.1")) << path;
  EXPECT_TRUE(ask("POST /a", "Content-Length: 0\r\n").starts_with("HTTP/1.1 403"));
}

TEST_F(RulesTest, WhatAsksForAnotherMethodOrPathIsRemovedAndRecorded) {
  start_with({{"methods", {"POST"}}});
  std::string answer = ask(
      "POST /a", "Content-Length: 0\r\nX-HTTP-Method-Override: DELETE\r\nx_original_url: /admin\r\nX-Other: kept\r\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200")) << answer;
  EXPECT_EQ(origin_->last().find("DELETE"), std::string::npos) << origin_->last();
  EXPECT_EQ(origin_->last().find("/admin"), std::string::npos) << origin_->last();
  EXPECT_NE(origin_->last().find("X-Other: kept\r\n"), std::string::npos);
  json line;
  do line = audited("allowed");
  while (line.value("kind", "") != "http");
  EXPECT_EQ(line["reason"], "removed X-HTTP-Method-Override, x_original_url");
  EXPECT_TRUE(ask("POST /a?_method=delete", "Content-Length: 0\r\n").starts_with("HTTP/1.1 403"));
  EXPECT_NE(audited("not_allowed")["reason"].get<std::string>().find("DELETE"), std::string::npos);
}

TEST_F(RulesTest, WhereEveryRequestIsAllowedHeadersStay) {
  start_with({{"inspect", true}});
  EXPECT_TRUE(ask("GET /a", "X-HTTP-Method-Override: PUT\r\n").starts_with("HTTP/1.1 200"));
  EXPECT_NE(origin_->last().find("X-HTTP-Method-Override: PUT\r\n"), std::string::npos);
}

}  // namespace
}  // namespace bottle::guard
