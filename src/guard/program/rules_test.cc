// Tests rules with methods and paths: the server must get exactly the request that was judged.
#include "guard/program/secrets_test.h"
#include "manifest/presets.h"

namespace bottle::guard {
namespace {

class RulesTest : public GuardTest {
 protected:
  // Starts an origin server that answers with the first line of the request.
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
  // Returns the answer to a request on the single connection.
  std::string ask(const std::string& line, const std::string& headers = "") {
    wire_.write(line + " HTTP/1.1\r\nHost: api.test\r\n" + headers + "\r\n");
    return wire_.message();
  }

  std::atomic<bool> asked_ = false, denied_ = false;
  std::unique_ptr<Origin> origin_;
  std::vector<std::unique_ptr<Origin>> origins_;
  TestPeer wire_;
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

TEST_F(RulesTest, AnyPathStaysUnchangedIfEveryPathIsAllowed) {
  start_with({{"methods", {"GET"}}, {"paths", {"/**"}}});
  for (const char* path : {"/a//b", "/x/../%2e%2e/;y", "/%c0%ae", "/%zz"})
    EXPECT_TRUE(ask(std::string("GET ") + path).ends_with(std::string("GET ") + path + " HTTP/1.1")) << path;
  EXPECT_TRUE(ask("POST /a", "Content-Length: 0\r\n").starts_with("HTTP/1.1 403"));
}

TEST_F(RulesTest, HeadersThatNameAnotherMethodOrPathAreRemovedAndRecorded) {
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
  json query = audited("not_allowed");
  EXPECT_NE(query["reason"].get<std::string>().find("DELETE"), std::string::npos);
  EXPECT_EQ(query["lacks"], "query");
}

TEST_F(RulesTest, ASecondPathOrHostInAHeaderIsJudgedToo) {
  start_with({{"paths", {"/mine/**"}}});
  for (const std::string header :
       {"Destination: /other/x", "Destination: https://api.test/other", "Destination: https://else.test/mine/x",
        "destination: /mine/../other", "x-amz-copy-source: other/key", "X-Copy-From: /mine/;/../other",
        "X-Ms-Copy-Source: https://api.test/other/x"}) {
    wire_ = secure("api.test");
    EXPECT_TRUE(ask("COPY /mine/a", header + "\r\n").starts_with("HTTP/1.1 403")) << header;
    EXPECT_EQ(audited("not_allowed")["lacks"], "header");
  }
  for (const std::string header :
       {"Destination: /mine/b", "Destination: https://api.test/mine/b", "x-amz-copy-source: mine/key"}) {
    wire_ = secure("api.test");
    EXPECT_TRUE(ask("COPY /mine/a", header + "\r\n").starts_with("HTTP/1.1 200")) << header;
    EXPECT_NE(origin_->last().find(header), std::string::npos);
  }
  EXPECT_TRUE(
      ask("GET /mine/a", "X-Forwarded-Host: else.test\r\nForwarded: host=else.test\r\n").starts_with("HTTP/1.1 200"));
  EXPECT_EQ(origin_->last().find("else.test"), std::string::npos) << origin_->last();
}

TEST_F(RulesTest, HeadersStayIfEveryRequestIsAllowed) {
  start_with({{"inspect", true}});
  EXPECT_TRUE(ask("GET /a", "X-HTTP-Method-Override: PUT\r\n").starts_with("HTTP/1.1 200"));
  EXPECT_NE(origin_->last().find("X-HTTP-Method-Override: PUT\r\n"), std::string::npos);
}

// A server that reads no bodies, so that it takes each body for the next request. It keeps the request lines that it
// has seen.
class IgnoresBodies {
 public:
  IgnoresBodies(SessionCa* ca, const std::string& status)
      : server_(
            ca, "api.test",
            [this, status](TestPeer& wire, std::string head) {
              while (!head.empty()) {
                {
                  std::lock_guard lock(mutex_);
                  seen_.push_back(head.substr(0, head.find(" HTTP")));
                }
                bool closes = head.find("Connection: close") != head.npos;
                wire.write("HTTP/1.1 " + status + "\r\nContent-Length: 4\r\n" +
                           (closes ? "Connection: close\r\n" : "") + "\r\nfine");
                if (closes) break;
                head = wire.head();
              }
              wire.to_end();  // closing with unread bytes would reset the connection
            },
            RawOrigin::After::head) {}
  std::vector<std::string> seen() {
    std::lock_guard lock(mutex_);
    return seen_;
  }
  uint16_t port() const { return server_.port; }
  int accepted() const { return server_.accepted; }

 private:
  std::mutex mutex_;
  std::vector<std::string> seen_;
  RawOrigin server_;
};

class SmuggledTest : public GuardTest {
 protected:
  static constexpr const char* kHidden = "DELETE /forbidden HTTP/1.1\r\nHost: other.test\r\n\r\n";

  void start_with(json rule, const std::string& status = "200 OK") {
    server_ = std::make_unique<IgnoresBodies>(ca_.get(), status);
    route("api.test", server_->port());
    rule["host"] = "api.test";
    allow(rule);
    start();
  }
  static std::string with_body(const std::string& line, const std::string& headers = "") {
    return line + " HTTP/1.1\r\nHost: api.test\r\n" + headers + "Content-Length: " + std::to_string(strlen(kHidden)) +
           "\r\n\r\n" + kHidden;
  }
  static std::string without_body(const std::string& line) { return line + " HTTP/1.1\r\nHost: api.test\r\n\r\n"; }

  std::unique_ptr<IgnoresBodies> server_;
};

TEST_F(SmuggledTest, AnIgnoredBodyIsNeverReadAsARequest) {
  start_with({{"paths", {"/ok/**"}}});
  std::vector<std::string> expected;
  for (const std::string method : {"GET", "OPTIONS", "DELETE", "POST", "PUT", "PATCH", "PROPFIND", "HEAD"}) {
    TestPeer wire = secure("api.test");
    ASSERT_TRUE(wire.ssl);
    wire.write(with_body(method + " /ok/1", method == "PUT" ? "TE: trailers\r\nConnection: TE\r\n" : "") +
               without_body("GET /ok/2"));
    if (method == "HEAD") wire.head();
    else EXPECT_TRUE(wire.message().starts_with("HTTP/1.1 200")) << method;
    EXPECT_TRUE(wire.message().starts_with("HTTP/1.1 200")) << method;
    expected.insert(expected.end(), {method + " /ok/1", "GET /ok/2"});
  }
  EXPECT_EQ(server_->seen(), expected);
}

TEST_F(SmuggledTest, AChunkedBodyIsNoExceptionAndCannotSwitchProtocols) {
  start_with({{"inspect", true}});
  TestPeer wire = secure("api.test");
  ASSERT_TRUE(wire.ssl);
  std::string chunk;
  http::append_chunk(chunk, kHidden);
  wire.write(
      "GET /ok/1 HTTP/1.1\r\nHost: api.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      "Transfer-Encoding: chunked\r\n\r\n" +
      chunk + "0\r\n\r\n");
  EXPECT_TRUE(wire.message().starts_with("HTTP/1.1 200"));
  wire.write(without_body("GET /ok/2"));
  EXPECT_TRUE(wire.message().starts_with("HTTP/1.1 200"));
  EXPECT_EQ(server_->seen(), (std::vector<std::string>{"GET /ok/1", "GET /ok/2"}));
}

TEST_F(SmuggledTest, NoRequestFollowsAnErrorOnABody) {
  start_with({{"inspect", true}}, "404 Not Found");
  TestPeer wire = secure("api.test");
  ASSERT_TRUE(wire.ssl);
  wire.write(with_body("POST /ok/1"));
  EXPECT_TRUE(wire.message().starts_with("HTTP/1.1 404"));
  wire.write(without_body("GET /ok/2"));
  EXPECT_TRUE(wire.message().starts_with("HTTP/1.1 404"));
  EXPECT_EQ(server_->accepted(), 2);
}

// Servers tie a sign-in with NTLM to a connection. Its first request is refused and has an empty body.
TEST_F(SmuggledTest, ARequestFollowsAnErrorOnAnEmptyBody) {
  start_with({{"inspect", true}}, "401 Unauthorized");
  TestPeer wire = secure("api.test");
  ASSERT_TRUE(wire.ssl);
  for (int i = 0; i < 2; ++i) {
    wire.write("POST /ok/1 HTTP/1.1\r\nHost: api.test\r\nContent-Length: 0\r\n\r\n");
    EXPECT_TRUE(wire.message().starts_with("HTTP/1.1 401"));
  }
  EXPECT_EQ(server_->accepted(), 1);
}

// The guard stands still until it can learn of the reset before it has read the answer, which takes it many rounds.
TEST_F(SmuggledTest, NoRequestFollowsADiscardedBodyWithBrokenFraming) {
  std::atomic<bool> closed = false;
  auto serve = [&](TestPeer& wire, const std::string&) {
    while (wire.in.find("hello") == std::string::npos && wire.more()) {
    }
    if (wire.in.find("hello") == std::string::npos) return;  // a request that must not come
    kill(guard_->pid(), SIGSTOP);
    for (int n = 0; n < 500; ++n) wire.write("HTTP/1.1 103 Early Hints\r\n\r\n");
    wire.write(ok("early"));
    EXPECT_TRUE(wait_until_acknowledged(wire));
    reset(wire);
    closed = true;
  };
  RawOrigin server(ca_.get(), "api.test", serve, RawOrigin::After::head);
  route("api.test", server.port);
  allow({{"host", "api.test"}, {"inspect", true}});
  start();
  TestPeer wire = secure("api.test");
  wire.write("POST /up HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
  EXPECT_TRUE(comes_true([&] { return closed.load(); }));
  std::string chunk;
  http::append_chunk(chunk, std::string(72 << 10, 'x'));  // more than one round of the guard reads
  wire.write(chunk);
  wire.write("broken\r\nGET /next HTTP/1.1\r\nHost: api.test\r\n\r\n");
  kill(guard_->pid(), SIGCONT);
  std::string head;
  do head = wire.head();
  while (head.starts_with("HTTP/1.1 103 "));
  EXPECT_TRUE(head.starts_with("HTTP/1.1 200 ")) << head;
  EXPECT_NE(head.find("Connection: close\r\n"), std::string::npos) << head;
  EXPECT_EQ(wire.to_end(), "early");
  EXPECT_EQ(server.accepted, 1);
}

class UpgradeTest : public RulesTest {
 protected:
  // Starts a server that switches protocols, sends `bytes`, and keeps what it receives.
  void open(json rule, std::string bytes, const std::string& protocol = "websocket") {
    server_ =
        std::make_unique<RawOrigin>(ca_.get(), "ws.test", [this, bytes, protocol](TestPeer& wire, const std::string&) {
          wire.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: " + protocol + "\r\nConnection: Upgrade\r\n\r\n" +
                     bytes);
          while (wire.more()) {
            std::lock_guard lock(mutex_);
            received_ += std::exchange(wire.in, {});
          }
          ended_ = true;
        });
    route("ws.test", server_->port);
    rule["host"] = "ws.test";
    allow(rule);
    start();
    wire_ = secure("ws.test");
    ASSERT_TRUE(wire_.ssl);
    wire_.write("GET /ws HTTP/1.1\r\nHost: ws.test\r\nConnection: Upgrade\r\nUpgrade: " + protocol + "\r\n\r\n");
    while (wire_.in.find("\r\n\r\n") == std::string::npos && wire_.more()) {
    }
    ASSERT_TRUE(wire_.in.starts_with("HTTP/1.1 101")) << wire_.in;
    wire_.in.erase(0, wire_.in.find("\r\n\r\n") + 4);
  }
  std::string received() {
    std::lock_guard lock(mutex_);
    return received_;
  }
  void wait_for_the_end() {
    for (int i = 0; i < 6000 && !ended_; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_TRUE(ended_) << "the server's side is closed too";
  }

  std::unique_ptr<RawOrigin> server_;
  std::mutex mutex_;
  std::string received_;
  std::atomic<bool> ended_ = false;
};

TEST_F(UpgradeTest, AnotherProtocolEndsWhenTheRulesRestrictTheHost) {
  open({{"inspect", true}}, "", "tcp");
  config_["egress"]["allow"].back()["methods"] = json::array({"GET"});
  ASSERT_EQ(configure()["type"], "ready");
  wire_.to_end();
  wait_for_the_end();
  json ended = audited("not_allowed");
  EXPECT_EQ(ended["reason"], "the rules have changed");
  EXPECT_EQ(ended["lacks"], "nothing") << "the operator would not want to take this back";
}

TEST_F(UpgradeTest, AnotherProtocolEndsWhenThereAreSecrets) {
  open({{"inspect", true}}, "", "tcp");
  bind_secret("other.test");
  ASSERT_EQ(configure()["type"], "ready");
  wire_.to_end();
  wait_for_the_end();
}

TEST_F(UpgradeTest, IfRulesNameMethodsOnlyWebSocketFramesPass) {
  open({{"methods", {"GET"}}}, std::string("\x81\x02hi", 4));
  while (wire_.in.size() < 4) ASSERT_TRUE(wire_.more());
  EXPECT_EQ(wire_.in, std::string("\x81\x02hi", 4));
  wire_.in.clear();
  wire_.write(frame(WebSocketSender::client, WebSocketFrame::text, true, "hello"));
  while (received().size() < 11) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  std::string bytes = received(), payload;
  std::string_view rest = bytes;
  WebSocketReader reader(WebSocketSender::client, false);
  while (reader.next(rest, payload) != WebSocketReader::Step::more) {
  }
  EXPECT_EQ(payload, "hello");
  EXPECT_EQ(bytes.find("key!"), std::string::npos) << "the agent does not choose what stands on the wire";
  wire_.write("DELETE /admin HTTP/1.1\r\nHost: ws.test\r\n\r\n");
  wire_.to_end();
  wait_for_the_end();
  EXPECT_EQ(received().find("DELETE"), std::string::npos);
  EXPECT_EQ(audited("bad_request")["host"], "ws.test");
}

TEST_F(UpgradeTest, AServerThatSpeaksSomethingElseIsCutOff) {
  open({{"paths", {"/ws"}}}, "SSH-2.0-hello\r\n");
  EXPECT_EQ(wire_.to_end(), "");
  wait_for_the_end();
  EXPECT_EQ(audited("bad_answer")["host"], "ws.test");
}

TEST_F(UpgradeTest, ADenialEndsUpgradedConnections) {
  std::string message("\x81\x02hi", 4);
  open({{"inspect", true}}, message);
  while (wire_.in != message) ASSERT_TRUE(wire_.more());
  allow({{"host", "ws.test"}, {"deny", true}});
  EXPECT_EQ(configure()["type"], "ready");
  wire_.in.clear();
  EXPECT_EQ(wire_.to_end(), "");
  wait_for_the_end();
}

TEST_F(RulesTest, ADenialAppliesToTheNextRequestOfAConnection) {
  start_with({{"inspect", true}});
  EXPECT_TRUE(ask("GET /a").starts_with("HTTP/1.1 200"));
  auto before = config_["egress"]["allow"];
  allow({{"host", "api.test"}, {"deny", true}});
  EXPECT_EQ(configure()["type"], "ready");
  EXPECT_TRUE(ask("GET /b").starts_with("HTTP/1.1 403"));
  EXPECT_EQ(origin_->last().substr(0, 6), "GET /a");
  config_["egress"]["allow"] = before;
  config_["egress"]["allow"][0]["methods"] = {"GET"};
  EXPECT_EQ(configure()["type"], "ready");
  EXPECT_TRUE(ask("GET /c").starts_with("HTTP/1.1 200")) << "and it is taken back on the same connection";
  EXPECT_TRUE(ask("POST /c", "Content-Length: 0\r\n").starts_with("HTTP/1.1 403"));
}

TEST_F(RulesTest, ADenialAppliesToPlainRequests) {
  Origin plain(nullptr, "", [](auto&) { return ok("fine"); });
  route("plain.test", plain.port);
  allow("plain.test");
  start();
  TestPeer wire{dial_loopback(port_), {}, {}};
  std::string ask = "GET http://plain.test/ HTTP/1.1\r\nHost: plain.test\r\n\r\n";
  wire.write(ask);
  EXPECT_TRUE(wire.message().starts_with("HTTP/1.1 200"));
  allow({{"host", "plain.test"}, {"deny", true}});
  EXPECT_EQ(configure()["type"], "ready");
  wire.write(ask);
  EXPECT_TRUE(wire.message().starts_with("HTTP/1.1 403"));
}

TEST_F(RulesTest, ADenialAbortsRequestsInProgress) {
  start_with({{"inspect", true}}, [this](const std::string&) {
    asked_ = true;
    while (!denied_) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return ok("late");
  });
  wire_.write("GET /slow HTTP/1.1\r\nHost: api.test\r\n\r\n");
  while (!asked_) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  allow({{"host", "api.test"}, {"deny", true}});
  EXPECT_EQ(configure()["type"], "ready");
  EXPECT_TRUE(wire_.message().starts_with("HTTP/1.1 403"));
  denied_ = true;
}

TEST_F(RulesTest, ABlindTunnelEndsWhenItIsNoLongerAllowed) {
  for (const char* host : {"a.test", "b.test", "c.test"}) {
    origins_.push_back(std::make_unique<Origin>(ca_.get(), host, [](auto&) { return ok("fine"); }));
    route(host, origins_.back()->port);
    allow(host);
  }
  start();
  TestPeer denied = secure("a.test"), inspected = secure("b.test"), other = secure("c.test");
  ASSERT_TRUE(denied.ssl && inspected.ssl && other.ssl);
  allow({{"host", "a.test"}, {"deny", true}});
  allow({{"host", "b.test"}, {"methods", {"GET"}}});
  EXPECT_EQ(configure()["type"], "ready");
  EXPECT_EQ(denied.to_end(), "");
  EXPECT_EQ(inspected.to_end(), "") << "its requests would have to be looked at now";
  other.write("GET / HTTP/1.1\r\nHost: c.test\r\n\r\n");
  EXPECT_TRUE(other.message().ends_with("fine"));
  json line;
  do line = next_line();
  while (line["type"] == "audit" && line["action"] != "close");
  EXPECT_EQ(line["reason"], "the rules have changed");
}

TEST_F(GuardTest, AnSshHostNeedsNoRuleAndOverridesNone) {
  const std::string host = "4d5f3a9b2c8e7f1a0b6d4c3f.example.org";
  auto site = std::make_unique<Origin>(nullptr, "", [](auto&) { return ok("fine"); });
  config_["ssh"] = {{{"host", host}, {"port", 22}, {"key", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBA="}}};
  config_["egress"]["resolver"] = "127.0.0.1:1";
  allow("*.example.org");
  start();
  auto connect = [&](const std::string& to) { return raw("CONNECT " + to + " HTTP/1.1\r\nHost: " + to + "\r\n\r\n"); };
  EXPECT_NE(connect(host + ":22").find("X-Bottle-Error: unresolved"), std::string::npos)
      << "the operator wrote this name, so it is looked up";
  const std::string other = "nbswy3dpeb3w64tmmqqho2lu.example.org";
  EXPECT_NE(connect(other + ":443").find("X-Bottle-Deny: name_carries_data"), std::string::npos);
  EXPECT_NE(raw("GET http://" + host + ":22/ HTTP/1.1\r\nHost: " + host + ":22\r\n\r\n").find("Deny: not_allowed"),
            std::string::npos)
      << "the host key is checked only in a tunnel";
  route(host, site->port);
  ASSERT_EQ(configure()["type"], "ready");
  EXPECT_TRUE(raw("GET http://" + host + "/ HTTP/1.1\r\nHost: " + host + "\r\n\r\n").ends_with("fine"));
}

// Sends the requests of real tools through a guard whose rules are presets.
class PresetsTest : public GuardTest {
 protected:
  void start_with(const std::string& preset, const std::vector<std::string>& hosts) {
    for (const auto& rule : *manifest::preset_rules(preset))
      allow({{"host", rule.host}, {"methods", rule.methods}, {"paths", rule.paths}, {"inspect", rule.inspect}});
    for (const auto& host : hosts) {
      origins_.push_back(
          std::make_unique<Origin>(ca_.get(), host, [](const std::string&) { return ok("from the origin"); }));
      route(host, origins_.back()->port);
    }
    start();
  }
  // Sends a request on a new connection, and returns the status of the answer.
  std::string ask(const std::string& host, const std::string& line, const std::string& body = "") {
    TestPeer wire = secure(host);
    if (!wire.ssl) return answer_.substr(9, 3);
    wire.write(line + " HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
               body);
    return wire.message().substr(9, 3);
  }
  std::vector<std::unique_ptr<Origin>> origins_;
};

TEST_F(PresetsTest, NpmInstallsAndDoesNotPublish) {
  start_with("npm", {"registry.npmjs.org"});
  EXPECT_EQ(ask("registry.npmjs.org", "GET /@scope%2fname"), "200");
  EXPECT_EQ(ask("registry.npmjs.org", "POST /-/npm/v1/security/advisories/bulk", "{}"), "200");
  EXPECT_EQ(ask("registry.npmjs.org", "PUT /left-pad", "{}"), "403");
  EXPECT_EQ(ask("registry.npmjs.org", "POST /-/npm/v1/tokens", "{}"), "403");
}

TEST_F(PresetsTest, PypiInstallsAndDoesNotUpload) {
  start_with("pypi", {"pypi.org", "files.pythonhosted.org", "upload.pypi.org"});
  EXPECT_EQ(ask("pypi.org", "GET /simple/requests/"), "200");
  EXPECT_EQ(ask("files.pythonhosted.org", "GET /packages/ab/requests-2.0.0-py3-none-any.whl"), "200");
  EXPECT_EQ(ask("upload.pypi.org", "POST /legacy/", "x"), "403");
  EXPECT_EQ(ask("pypi.org", "GET /manage/account/"), "403");
}

TEST_F(PresetsTest, GithubReadFetchesAndDoesNotPush) {
  start_with("github-read", {"github.com", "api.github.com"});
  EXPECT_EQ(ask("github.com", "GET /acme/tool.git/info/refs?service=git-upload-pack"), "200");
  EXPECT_EQ(ask("github.com", "POST /acme/tool.git/git-upload-pack", "0000"), "200");
  EXPECT_EQ(ask("api.github.com", "GET /repos/acme/tool"), "200");
  EXPECT_EQ(ask("github.com", "POST /acme/tool.git/git-receive-pack", "0000"), "403");
  EXPECT_EQ(ask("github.com", "POST /acme/tool.git/git-upload-pack/../git-receive-pack", "0000"), "403");
  EXPECT_EQ(ask("api.github.com", "POST /repos/acme/tool/issues", "{}"), "403");
  EXPECT_EQ(ask("api.github.com", "DELETE /repos/acme/tool"), "403");
}

}  // namespace
}  // namespace bottle::guard
