// Tests what real clients and servers do and must be able to do through the guard.
#include "guard/program/secrets_test.h"

namespace bottle::guard {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

std::string first_line(const std::string& message) { return message.substr(0, message.find('\r')); }

class ClientsTest : public GuardTest {
 protected:
  using Serve = std::function<void(TestPeer&, const std::string&)>;
  // Starts a server at api.test. `serve` gets the head of each connection's first request.
  void serve(Serve serve, json rule = {{"inspect", true}}) {
    server_ = std::make_unique<RawOrigin>(ca_.get(), "api.test", std::move(serve), RawOrigin::After::head);
    route("api.test", server_->port);
    rule["host"] = "api.test";
    allow(rule);
    start();
  }
  // Starts a server at plain.test that speaks no TLS and answers with the first line of the request.
  void serve_plain(json rule) {
    plain_ = std::make_unique<Origin>(nullptr, "", [](const std::string& request) { return ok(first_line(request)); });
    route("plain.test", plain_->port);
    rule["host"] = "plain.test";
    allow(rule);
    start();
  }
  // Returns the answer to one request in a tunnel with TLS.
  std::string ask(const std::string& request) {
    TestPeer wire = secure("api.test");
    EXPECT_TRUE(wire.ssl);
    wire.write(request);
    return wire.message();
  }
  static std::string post(size_t size, const std::string& headers = "") {
    return "POST /up HTTP/1.1\r\nHost: api.test\r\n" + headers + "Content-Length: " + std::to_string(size) + "\r\n\r\n";
  }

  std::unique_ptr<RawOrigin> server_;
  std::unique_ptr<Origin> plain_;
};

// --- plain HTTP in a tunnel ---

TEST_F(ClientsTest, HttpInATunnelFollowsTheRulesOfHttp) {
  serve_plain({{"ports", {80, 8080, 443}}, {"methods", {"GET"}}});
  for (int port : {80, 8080}) {
    TestPeer wire = connect_to("plain.test", port);
    ASSERT_TRUE(answer_.starts_with("HTTP/1.1 200")) << answer_;
    std::string host = port == 80 ? "plain.test" : "plain.test:8080";
    wire.write("GET /a HTTP/1.1\r\nHost: " + host + "\r\n\r\n");
    EXPECT_TRUE(wire.message().ends_with("GET /a HTTP/1.1"));
    wire.write("GET http://" + host + "/b HTTP/1.1\r\nHost: " + host + "\r\n\r\n");
    EXPECT_TRUE(wire.message().ends_with("GET /b HTTP/1.1")) << "the absolute form, on the same connection";
    wire.write("DELETE /a HTTP/1.1\r\nHost: " + host + "\r\n\r\n");
    EXPECT_TRUE(wire.message().starts_with("HTTP/1.1 403 bottle not_allowed\r\n"));
    wire.write("GET /c HTTP/1.1\r\nHost: other.test\r\n\r\n");
    EXPECT_TRUE(wire.message().starts_with("HTTP/1.1 403 bottle host_mismatch\r\n"));
    wire.write("GET http://other.test/ HTTP/1.1\r\nHost: plain.test\r\n\r\n");
    EXPECT_TRUE(wire.message().starts_with("HTTP/1.1 403 bottle host_mismatch\r\n"));
  }
  EXPECT_EQ(audited("host_mismatch")["kind"], "http");
  TestPeer wire = connect_to("plain.test", 443);
  wire.write("GET / HTTP/1.1\r\nHost: plain.test\r\n\r\n");
  EXPECT_EQ(wire.to_end(), "") << "port 443 is for TLS";
}

TEST_F(ClientsTest, HttpInABlindTunnelIsServedToo) {
  serve_plain({{"ports", {80, 8080}}});
  for (int port : {80, 8080}) {
    TestPeer wire = connect_to("plain.test", port);
    wire.write("GET /a HTTP/1.1\r\nHost: plain.test:" + std::to_string(port) + "\r\n\r\n");
    EXPECT_TRUE(wire.message().ends_with("GET /a HTTP/1.1")) << port;
    json line = audited("allowed");
    EXPECT_EQ(line["kind"], "http") << line;
    EXPECT_EQ(line["path"], "/a") << line;
  }
  EXPECT_EQ(plain_->accepted, 2) << "what was dialed for the tunnel is used";
}

TEST_F(ClientsTest, PlaceholdersAreNotReplacedInHttpInATunnel) {
  bind_secret("plain.test");
  serve_plain({{"ports", {80}}});
  TestPeer wire = connect_to("plain.test", 80);
  wire.write(std::string("GET / HTTP/1.1\r\nHost: plain.test\r\nAuthorization: Bearer ") + kPlaceholder + "\r\n\r\n");
  EXPECT_TRUE(wire.message().starts_with("HTTP/1.1 403 bottle secret\r\n"));
  EXPECT_EQ(plain_->last(), "");
}

// --- directions are separate ---

TEST_F(ClientsTest, AnEarlyAnswerReachesAClientThatUploads) {
  serve([](TestPeer& wire, const std::string&) {
    wire.write("HTTP/1.1 413 Payload Too Large\r\nContent-Length: 9\r\nConnection: close\r\n\r\ntoo large");
    reset(wire);
  });
  for (int i = 0; i < 5; ++i) {
    TestPeer wire = secure("api.test");
    wire.write(post(8 << 20));
    std::string piece(64 << 10, 'x');
    // Python's requests library does this: it reads only after it has sent everything.
    for (int n = 0; n < 128; ++n) ASSERT_TRUE(wire.write(piece)) << n;
    std::string answer = wire.message();
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 413 ")) << answer;
    EXPECT_TRUE(answer.ends_with("too large")) << answer;
  }
}

TEST_F(ClientsTest, ARefusalReachesAClientThatUploads) {
  serve([](TestPeer&, const std::string&) {}, {{"methods", {"GET"}}});
  TestPeer wire = secure("api.test");
  wire.write(post(20 << 20));
  std::string piece(64 << 10, 'x');
  for (int n = 0; n < 320; ++n) ASSERT_TRUE(wire.write(piece)) << n;
  EXPECT_TRUE(wire.message().starts_with("HTTP/1.1 403 bottle not_allowed\r\n"));
}

TEST_F(ClientsTest, AnUploadContinuesAfterAnEarlyAnswer) {
  std::atomic<size_t> received = 0;
  serve([&](TestPeer& wire, const std::string&) {
    wire.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    while (received < (1 << 20) && wire.more()) received += std::exchange(wire.in, {}).size();
    received += wire.in.size();
  });
  TestPeer wire = secure("api.test");
  wire.write(post(1 << 20));
  EXPECT_TRUE(wire.message().ends_with("ok")) << "before the body is sent";
  wire.write(std::string(1 << 20, 'x'));
  EXPECT_EQ(wire.to_end(), "");
  EXPECT_TRUE(server_->wait_until_closed());
  EXPECT_EQ(received, 1u << 20);
}

// --- kept connections ---

class KeptTest : public ClientsTest {
 protected:
  // Answers one request on the first connection, and closes the connection when the next one arrives. Answers whole
  // requests on other connections.
  void serve_and_leave() {
    serve([this](TestPeer& wire, const std::string&) {
      if (server_->accepted > 1) {
        while (!wire.in.ends_with("x=1") && head_only_ == false && wire.more()) {
        }
        wire.write(ok("new"));
        wire.more();
        return;
      }
      wire.write(ok("old"));
      wire.more();
      if (!fin_only_) return reset(wire);
      ::shutdown(wire.fd.get(), SHUT_WR);  // TLS's close_notify does not come before it
      wire.more();
    });
  }
  std::string second(const std::string& request) {
    TestPeer wire = secure("api.test");
    wire.write("GET / HTTP/1.1\r\nHost: api.test\r\n\r\n");
    EXPECT_TRUE(wire.message().ends_with("old"));
    wire.write(request);
    return wire.message();
  }
  std::atomic<bool> head_only_ = false, fin_only_ = false;
};

TEST_F(KeptTest, RequestsThatMayBeRepeatedAreRepeated) {
  head_only_ = true;
  serve_and_leave();
  EXPECT_TRUE(second("GET /b HTTP/1.1\r\nHost: api.test\r\n\r\n").ends_with("new"));
}

TEST_F(KeptTest, AnEndWithoutCloseNotifyIsAnEnd) {
  head_only_ = fin_only_ = true;
  serve_and_leave();
  EXPECT_TRUE(second("GET /b HTTP/1.1\r\nHost: api.test\r\n\r\n").ends_with("new"));
}

TEST_F(KeptTest, ABufferedBodyIsSentAgain) {
  serve_and_leave();
  EXPECT_TRUE(second("PUT /b HTTP/1.1\r\nHost: api.test\r\nContent-Length: 3\r\n\r\nx=1").ends_with("new"));
}

TEST_F(KeptTest, RequestsThatMayNotBeRepeatedAreLeftToTheClient) {
  serve_and_leave();
  EXPECT_EQ(second("POST /b HTTP/1.1\r\nHost: api.test\r\nContent-Length: 3\r\n\r\nx=1"), "")
      << "no 502 of the guard's";
  EXPECT_EQ(audited("upstream_gone")["action"], "close");
}

// --- answers are repaired, requests are strict ---

TEST_F(ClientsTest, AnswersAreRepaired) {
  std::string answer;
  serve([&](TestPeer& wire, const std::string&) { wire.write(answer); });
  auto got = [&](std::string sent) {
    answer = std::move(sent);
    return ask("GET / HTTP/1.1\r\nHost: api.test\r\n\r\n");
  };
  EXPECT_EQ(got("HTTP/1.1 200 OK\r\nX-A : b\r\nContent-Length: 2\r\n\r\nok"),
            "HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 2\r\n\r\nok");
  std::string large = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n";
  for (int i = 0; i < 256; ++i) large += "X-" + std::to_string(i) + ": " + std::string(1000, 'v') + "\r\n";
  EXPECT_EQ(got(large + "\r\nok").size(), large.size() + 4);
  EXPECT_EQ(got("HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok"), "HTTP/1.1 204 No Content\r\n\r\n");
  EXPECT_TRUE(got("SSH-2.0-x\r\n").starts_with("HTTP/1.1 502 bottle bad_answer\r\n"));
}

TEST_F(ClientsTest, HarmlessFormsOfRequestsAreAccepted) {
  serve([](TestPeer& wire, const std::string& head) { wire.write(ok(first_line(head))); }, {{"methods", {"GET"}}});
  for (auto [request, seen] : std::vector<std::pair<std::string, std::string>>{
           {"GET https://api.test/a?b HTTP/1.1\r\nHost: api.test", "GET /a?b HTTP/1.1"},
           {"GET https://API.test:443/a HTTP/1.1\r\nHost: api.test", "GET /a HTTP/1.1"},
           {"GET https://api.test HTTP/1.1\r\nHost: api.test:443", "GET / HTTP/1.1"},
           {"GET /gr\xc3\xbc\xc3\x9f HTTP/1.1\r\nHost: api.test", "GET /gr\xc3\xbc\xc3\x9f HTTP/1.1"},
           {"\r\nGET /a HTTP/1.1\r\nHost: api.test", "GET /a HTTP/1.1"},
           {"GET /a HTTP/1.1\r\nHost: api.test:", "GET /a HTTP/1.1"},
           {"GET https://api.test:/a HTTP/1.1\r\nHost: api.test", "GET /a HTTP/1.1"}})
    EXPECT_TRUE(ask(request + "\r\n\r\n").ends_with("\r\n\r\n" + seen)) << request;
  for (const char* request :
       {"GET https://other.test/a HTTP/1.1\r\nHost: api.test", "GET https://api.test:8443/a HTTP/1.1\r\nHost: api.test",
        "GET https://api.test/a HTTP/1.1\r\nHost: other.test", "GET /a HTTP/1.1\r\nHost: api.test:8443"})
    EXPECT_TRUE(ask(std::string(request) + "\r\n\r\n").starts_with("HTTP/1.1 403 bottle host_mismatch")) << request;
  for (const char* request : {"GET http://api.test/a HTTP/1.1\r\nHost: api.test", "GET /a HTTP/1.1\r\nHost : api.test"})
    EXPECT_TRUE(ask(std::string(request) + "\r\n\r\n").starts_with("HTTP/1.1 400 bottle bad_request")) << request;
}

TEST_F(ClientsTest, TrailersOfARequestPass) {
  std::string body;
  serve([&](TestPeer& wire, const std::string&) {
    while (!wire.in.ends_with("\r\n\r\n") && wire.more()) {
    }
    body = wire.in;
    wire.write(ok("fine"));
  });
  EXPECT_TRUE(ask("POST / HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "2\r\nhi\r\n0\r\nX-Sum: 1\r\nTransfer-Encoding: x\r\nX-Api-Key: k\r\n\r\n")
                  .ends_with("fine"));
  EXPECT_EQ(body, "2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n");
}

TEST_F(ClientsTest, RangesInterimAnswersAndEventsPass) {
  serve([](TestPeer& wire, const std::string& head) {
    if (head.starts_with("GET /range ")) {
      wire.write("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 5-6/9\r\nContent-Length: 2\r\n\r\n");
      wire.write(head.find("Range: bytes=5-6\r\n") != head.npos ? "ok" : "no");
    } else if (head.find("Expect: 100-continue\r\n") != head.npos) {
      wire.write("HTTP/1.1 100 Continue\r\n\r\n");
      while (wire.in.size() < 3 && wire.more()) {
      }
      wire.write(ok(wire.in));
    } else {
      wire.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
      wire.write("9\r\ndata: 1\n\n\r\n");
      while (wire.in.size() < 3 && wire.more()) {
      }
      wire.write("9\r\ndata: 2\n\n\r\n0\r\n\r\n");
    }
  });
  std::string part = ask("GET /range HTTP/1.1\r\nHost: api.test\r\nRange: bytes=5-6\r\n\r\n");
  EXPECT_TRUE(part.starts_with("HTTP/1.1 206 ")) << part;
  EXPECT_NE(part.find("Content-Range: bytes 5-6/9\r\n"), part.npos) << part;
  EXPECT_TRUE(part.ends_with("\r\n\r\nok"));
  TestPeer asking = secure("api.test");
  asking.write(post(3, "Expect: 100-continue\r\n"));
  EXPECT_EQ(asking.message(), "HTTP/1.1 100 Continue\r\n\r\n");
  asking.write("abc");
  EXPECT_TRUE(asking.message().ends_with("abc"));
  TestPeer events = secure("api.test");
  events.write(post(3));
  while (events.in.find("data: 1\n\n") == std::string::npos && events.more()) {
  }
  EXPECT_EQ(events.in.find("data: 2"), std::string::npos) << "the server sends it after the body";
  events.write("abc");
  EXPECT_EQ(body_of(events.message()), "data: 1\n\ndata: 2\n\n");
}

// A server with a certificate for `names_of`, independently of the requested name.
class Certified {
 public:
  Certified(SessionCa& ca, const std::string& names_of) : context_(SSL_CTX_new(TLS_server_method())) {
    SSL_CTX_use_certificate(context_.get(), *ca.leaf({names_of, false}));
    SSL_CTX_use_PrivateKey(context_.get(), ca.leaf_key());
    listener_ = listen_on_loopback(port);
    thread_ = std::thread([this] {
      for (int fd; (fd = accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) {
        TestPeer wire{UniqueFd(fd), Ssl(SSL_new(context_.get())), {}};
        SSL_set_fd(wire.ssl.get(), fd);
        if (SSL_accept(wire.ssl.get()) == 1 && !wire.message().empty()) wire.write(ok("fine"));
      }
    });
  }
  ~Certified() {
    shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }
  uint16_t port = 0;

 private:
  std::unique_ptr<SSL_CTX, FreeTls> context_;
  UniqueFd listener_;
  std::thread thread_;
};

TEST_F(ClientsTest, ANameWithAnUnderscoreIsUnderAWildcard) {
  Certified wildcard(*ca_, "*.pages.test"), alike(*ca_, "my-app.pages.test"), above(*ca_, "*.test");
  allow({{"host", "*.pages.test"}, {"inspect", true}});
  start();
  auto ask_at = [&](uint16_t port) {
    route("my_app.pages.test", port);
    EXPECT_EQ(configure()["type"], "ready");
    TestPeer wire = secure("my_app.pages.test");
    EXPECT_TRUE(wire.ssl);
    wire.write("GET / HTTP/1.1\r\nHost: my_app.pages.test\r\n\r\n");
    return wire.message();
  };
  EXPECT_TRUE(ask_at(wildcard.port).ends_with("fine"));
  EXPECT_NE(ask_at(alike.port).find("upstream_tls"), std::string::npos) << "it is for another host";
  EXPECT_NE(ask_at(above.port).find("upstream_tls"), std::string::npos) << "it is for another label";
}

TEST_F(ClientsTest, AClientThatNamesNoHostIsInspected) {
  Origin origin(ca_.get(), "my_app.test", [](auto&) { return ok("fine"); });
  route("my_app.test", origin.port);
  allow("my_app.test");
  start();
  TestPeer wire = connect_to("my_app.test");
  wire.ssl = std::move(*connect_tls(roots_.get(), {"my_app.test", false}, 443));
  SSL_set_tlsext_host_name(wire.ssl.get(), nullptr);
  SSL_set_fd(wire.ssl.get(), wire.fd.get());
  ASSERT_EQ(SSL_connect(wire.ssl.get()), 1);
  wire.write("GET / HTTP/1.1\r\nHost: my_app.test\r\n\r\n");
  EXPECT_TRUE(wire.message().ends_with("fine"));
  EXPECT_EQ(audited("inspected")["host"], "my_app.test");
  wire.write("GET / HTTP/1.1\r\nHost: other.test\r\n\r\n");
  EXPECT_TRUE(wire.message().starts_with("HTTP/1.1 403 bottle host_mismatch"));
}

// --- other upgrades ---

class OtherUpgradesTest : public ClientsTest {
 protected:
  // Starts a server that switches to the requested protocol, says hello, and answers what it got when the client has
  // ended.
  void serve_switching(json rule) {
    serve(
        [](TestPeer& wire, const std::string& head) {
          size_t at = head.find("Upgrade: ");
          if (at == head.npos) return void(wire.write(ok("not switched")));
          std::string to = head.substr(at + 9, head.find('\r', at) - at - 9);
          wire.write("HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: " + to + "\r\n\r\nhello");
          wire.write("got " + wire.to_end());
        },
        std::move(rule));
  }
  TestPeer upgrade(const std::string& to) {
    TestPeer wire = secure("api.test");
    wire.write("POST /exec HTTP/1.1\r\nHost: api.test\r\nConnection: Upgrade\r\nUpgrade: " + to +
               "\r\nContent-Length: 0\r\n\r\n");
    return wire;
  }
};

TEST_F(OtherUpgradesTest, PassIfNothingIsScanned) {
  serve_switching({{"inspect", true}});
  for (const char* to : {"tcp", "SPDY/3.1", "h2c, tcp"}) {
    TestPeer wire = upgrade(to);
    EXPECT_TRUE(wire.head().starts_with("HTTP/1.1 101 ")) << to;
    wire.write("bytes");
    SSL_shutdown(wire.ssl.get());  // the client sends no more, but continues to read
    EXPECT_EQ(wire.to_end(), "hellogot bytes") << to;
  }
  for (const char* to : {"h2c", "H2", "h2c-14"}) EXPECT_TRUE(upgrade(to).message().ends_with("not switched")) << to;
  EXPECT_TRUE(upgrade("TLS/1.0, HTTP/1.1").message().ends_with("not switched"));
}

TEST_F(OtherUpgradesTest, DoNotPassIfMethodsAreLimited) {
  serve_switching({{"methods", {"POST"}}});
  EXPECT_TRUE(upgrade("tcp").message().ends_with("not switched"));
  EXPECT_TRUE(upgrade("tcp, websocket").head().starts_with("HTTP/1.1 101 "));
}

TEST_F(OtherUpgradesTest, DoNotPassIfSecretsAreBound) {
  bind_secret("other.test");
  serve_switching({{"inspect", true}});
  EXPECT_TRUE(upgrade("tcp").message().ends_with("not switched"));
}

TEST_F(ClientsTest, AnUnrequestedSwitchOfProtocolsIsRefused) {
  serve([](TestPeer& wire, const std::string&) {
    wire.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\n\r\n");
    wire.more();
  });
  EXPECT_TRUE(ask("GET / HTTP/1.1\r\nHost: api.test\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
                  .starts_with("HTTP/1.1 502 bottle bad_answer"));
}

// --- no byte waits without limit ---

class QuietTest : public SecretsTest {};

TEST_F(QuietTest, AnUploadThatPausesWithinAPossibleSecretContinues) {
  std::string seen;
  RawOrigin server(
      ca_.get(), "db.test",
      [&](TestPeer& wire, const std::string&) {
        wire.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        // The client sends the next message only after the answer to this one.
        for (int i = 0; i < 3; ++i) {
          while (wire.in.find("d\r\n") == std::string::npos && wire.more()) {
          }
          wire.in.erase(0, wire.in.find("d\r\n") + 3);
          wire.write("3\r\nyes\r\n");
        }
        wire.write("0\r\n\r\n");
      },
      RawOrigin::After::head);
  route("db.test", server.port);
  allow({{"host", "db.test"}, {"inspect", true}});
  start();
  TestPeer wire = secure("db.test");
  wire.write("POST / HTTP/1.1\r\nHost: db.test\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 3; ++i) {
    wire.write("4\r\nsend\r\n");
    while (wire.in.find("yes") == std::string::npos) ASSERT_TRUE(wire.more()) << "after " << i;
    wire.in.erase(0, wire.in.find("yes") + 3);
  }
}

TEST_F(QuietTest, OneDirectionDoesNotDelayTheOther) {
  // The answer pauses at the beginning of a secret while the upload continues without a pause.
  std::atomic<bool> arrived = false;
  RawOrigin server(
      ca_.get(), "db.test",
      [&](TestPeer& wire, const std::string&) {
        wire.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nword\r\n");
        while (!arrived && wire.more()) wire.in.clear();
        wire.write("0\r\n\r\n");
      },
      RawOrigin::After::head);
  route("db.test", server.port);
  allow({{"host", "db.test"}, {"inspect", true}});
  start();
  TestPeer wire = secure("db.test");
  wire.write("POST / HTTP/1.1\r\nHost: db.test\r\nTransfer-Encoding: chunked\r\n\r\n");
  auto begun = Clock::now();
  while (wire.in.find("word") == std::string::npos && Clock::now() - begun < std::chrono::milliseconds(kPatienceMs)) {
    wire.write("1\r\nx\r\n");
    pollfd p{wire.fd.get(), POLLIN, 0};
    if (poll(&p, 1, 2) == 1) ASSERT_TRUE(wire.more());
  }
  EXPECT_NE(wire.in.find("word"), std::string::npos);
  arrived = true;
  wire.write("1\r\nx\r\n0\r\n\r\n");
}

// --- the causes of failures are reported ---

TEST_F(ClientsTest, AServerThatWantsAClientCertificateIsReported) {
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    uint16_t port;
    auto listener = listen_on_loopback(port);
    std::thread server([&] {
      auto ssl = std::move(*ca_->accept({"mtls.test", false}));
      UniqueFd fd(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
      SSL_set_max_proto_version(ssl.get(), version);
      SSL_set_verify(ssl.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
      SSL_set_fd(ssl.get(), fd.get());
      SSL_accept(ssl.get());
      char byte;
      (void)!recv(fd.get(), &byte, 1, MSG_PEEK);
    });
    config_["egress"]["allow"] = json::array({{{"host", "mtls.test"}, {"inspect", true}}});
    route("mtls.test", port);
    if (guard_) EXPECT_EQ(configure()["type"], "ready");
    else start();
    TestPeer wire = secure("mtls.test");
    wire.write("GET / HTTP/1.1\r\nHost: mtls.test\r\n\r\n");
    EXPECT_TRUE(wire.message().starts_with("HTTP/1.1 502 bottle upstream_tls\r\n"));
    std::string reason = audited("upstream_tls")["reason"];
    EXPECT_NE(reason.find("asks for a client certificate"), reason.npos) << reason;
    if (version == TLS1_3_VERSION) EXPECT_NE(reason.find("alert certificate required"), reason.npos) << reason;
    server.join();
  }
}

}  // namespace
}  // namespace bottle::guard
