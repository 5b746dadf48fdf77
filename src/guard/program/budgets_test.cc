// Checks that the guard counts what a session uses, and refuses what exceeds a limit, on every way out.
#include <condition_variable>

#include "guard/program/http2_test.h"
#include "guard/program/secrets_test.h"
#include "guard/watch/usage_watch.h"
#include "scan/content/compress_test.h"

namespace bottle::guard {
namespace {

class BudgetsTest : public SecretsTest {
 protected:
  json& rule_of(const std::string& host) {
    for (auto& rule : config_["egress"]["allow"])
      if (rule["host"] == host) return rule;
    ADD_FAILURE() << "no rule for " << host;
    return config_;
  }
  std::unique_ptr<Origin> limited(const std::string& host, const json& limit) {
    auto made = origin(host);
    rule_of(host)["limit"] = limit;
    return made;
  }
  static std::string get(const std::string& host) { return "GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n"; }
  static bool frozen(const std::string& answer) {
    return answer.starts_with("HTTP/1.1 403 bottle limit_reached\r\n") &&
           answer.find("X-Bottle-Deny: limit_reached\r\n") != answer.npos &&
           answer.find("until the operator raises it") != answer.npos;
  }
  // Starts the guard with a server of WebSockets, which counts the bytes that it gets. At most 50,000 may go up.
  std::unique_ptr<RawOrigin> limited_socket(std::atomic<size_t>& received) {
    auto server = std::make_unique<RawOrigin>(ca_.get(), "ws.test", [&received](TestPeer& wire, const std::string&) {
      wire.write("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
      while (wire.more()) received += std::exchange(wire.in, {}).size();
    });
    route("ws.test", server->port);
    allow({{"host", "ws.test"}, {"inspect", true}, {"limit", {{"bytes_up", 50'000}}}});
    start();
    return server;
  }
  TestPeer upgraded(const std::string& host) {
    TestPeer wire = secure(host);
    wire.write("GET / HTTP/1.1\r\nHost: " + host + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    EXPECT_NE(wire.head().find(" 101 "), std::string::npos);
    return wire;
  }
  // Returns the next message about a limit.
  json hit() {
    while (true)
      if (json line = next_line(); line["type"] != "audit") return line;
  }
  // Waits until the guard has reported that this much was used.
  bool told(const std::string& host, const char* key, uint64_t value) {
    while (!used_.contains(host) || used_[host][key] != value)
      if (json line = next_message(); line["type"] == "timeout" || line["type"] == "end") return false;
    return true;
  }
};

TEST_F(BudgetsTest, ALimitOfRequestsAppliesToEveryConnectionUntilItIsRaised) {
  auto a = limited("a.test", {{"requests", 2}});
  auto b = origin("b.test");
  start();
  TestPeer kept = secure("a.test");
  for (int i = 0; i < 2; ++i) {
    kept.write(get("a.test"));
    EXPECT_TRUE(kept.message().ends_with("fine"));
  }
  EXPECT_TRUE(frozen(ask("a.test", get("a.test"))));
  EXPECT_EQ(hit(), (json{{"type", "limit"}, {"of", "a.test"}, {"limit", "requests"}, {"most", 2}}));
  kept.write(get("a.test"));
  EXPECT_TRUE(frozen(kept.message())) << "on a connection that was open before";
  EXPECT_TRUE(ask("b.test", get("b.test")).ends_with("fine"));
  json line = audited("limit_reached");
  EXPECT_EQ(line["action"], "deny");
  EXPECT_EQ(line["reason"], "the limit of 2 requests for a.test is reached, until the operator raises it");
  rule_of("a.test")["limit"]["requests"] = 3;
  EXPECT_EQ(configure()["type"], "ready");
  kept.write(get("a.test"));
  EXPECT_TRUE(kept.message().ends_with("fine")) << "the connection goes on";
  EXPECT_TRUE(frozen(ask("a.test", get("a.test"))));
  EXPECT_EQ(hit()["most"], 3) << "a limit that was raised is said again";
  EXPECT_TRUE(told("a.test", "requests", 3));
}

TEST_F(BudgetsTest, ARefusedRequestDoesNotCount) {
  auto a = limited("a.test", {{"requests", 1}});
  start();
  std::string secret = "GET /?q=" + std::string(kValue) + " HTTP/1.1\r\nHost: a.test\r\n\r\n";
  EXPECT_NE(ask("a.test", secret).find("X-Bottle-Deny: secret\r\n"), std::string::npos);
  EXPECT_TRUE(ask("a.test", get("a.test")).ends_with("fine"));
}

TEST_F(BudgetsTest, NoBodyIsSentBeyondTheLimitOfBytes) {
  std::atomic<size_t> received = 0;
  RawOrigin sink(
      ca_.get(), "up.test",
      [&](TestPeer& wire, const std::string&) {
        while (wire.more()) received += std::exchange(wire.in, {}).size();
      },
      RawOrigin::After::head);
  route("up.test", sink.port);
  allow({{"host", "up.test"}, {"inspect", true}, {"limit", {{"bytes_up", 100'000}}}});
  start();
  EXPECT_TRUE(frozen(ask("up.test", post("up.test", std::string(200'000, 'x')))));
  EXPECT_EQ(sink.accepted, 0) << "a length that does not fit is refused before the request goes out";
  std::string head = "POST / HTTP/1.1\r\nHost: up.test\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_TRUE(frozen(ask("up.test", head + in_chunks(std::string(300'000, 'x'), 10'000) + "0\r\n\r\n")));
  EXPECT_LE(received, 100'000u + 40 * 12) << "with the framing of the chunks";
  EXPECT_EQ(audited("limit_reached")["action"], "deny");
  EXPECT_TRUE(ask("up.test", post("up.test", std::string(200'000, 'x'))).starts_with("HTTP/1.1 403 "));
}

TEST_F(BudgetsTest, ATunnelThatIsNotInspectedCounts) {
  std::mutex mutex;
  std::condition_variable changed;
  size_t received = 0;
  RawOrigin sink(ca_.get(), "blind.test", [&](TestPeer& wire, const std::string&) {
    wire.write("go on");
    while (wire.more()) {
      std::lock_guard lock(mutex);
      received += std::exchange(wire.in, {}).size();
      changed.notify_all();
    }
  });
  route("blind.test", sink.port);
  allow({{"host", "blind.test"}, {"limit", {{"bytes_up", 400'000}, {"requests", 2}}}});
  start();
  roots_.reset(make_upstream_context(ca_->pem()));
  TestPeer wire = secure("blind.test");
  ASSERT_TRUE(wire.ssl);
  wire.write(get("blind.test"));
  while (wire.in.size() < 5 && wire.more()) {
  }
  EXPECT_TRUE(wire.write(std::string(100'000, 'x')));
  {
    std::unique_lock lock(mutex);
    EXPECT_TRUE(changed.wait_for(lock, std::chrono::milliseconds(kPatienceMs), [&] { return received == 100'000; }));
  }
  for (int i = 0; i < 100 && wire.write(std::string(100'000, 'x')); ++i) {
  }
  EXPECT_EQ(wire.to_end(), "go on") << "the tunnel is cut when its client sends more";
  EXPECT_LE(received, 400'000u);
  EXPECT_EQ(audited("limit_reached")["kind"], "connect");
  connect_to("blind.test");
  EXPECT_TRUE(frozen(answer_));
  rule_of("blind.test")["limit"]["bytes_up"] = 800'000;
  EXPECT_EQ(hit()["limit"], "bytes_up");
  EXPECT_EQ(configure()["type"], "ready");
  EXPECT_TRUE(secure("blind.test").ssl);
  connect_to("blind.test");
  EXPECT_TRUE(frozen(answer_)) << "each tunnel counts as a request";
}

TEST_F(BudgetsTest, RequestsInATunnelCountInsteadOfTheTunnel) {
  Origin plain(nullptr, "", [](auto&) { return ok("fine"); });
  auto nameless = origin("nameless.test");
  route("plain.test", plain.port);
  json two = {{"requests", 2}};
  allow({{"host", "plain.test"}, {"ports", {8080}}, {"limit", two}});
  rule_of("nameless.test") = {{"host", "nameless.test"}, {"limit", two}};
  start();
  TestPeer wire = connect_to("plain.test", 8080);
  for (int i = 0; i < 3; ++i) {
    wire.write("GET / HTTP/1.1\r\nHost: plain.test:8080\r\n\r\n");
    std::string answer = wire.message();
    EXPECT_TRUE(i < 2 ? answer.ends_with("fine") : frozen(answer)) << answer;
  }
  wire = connect_to("nameless.test");
  wire.ssl = std::move(*connect_tls(roots_.get(), {"nameless.test", false}, 443));
  SSL_set_tlsext_host_name(wire.ssl.get(), nullptr);
  SSL_set_fd(wire.ssl.get(), wire.fd.get());
  ASSERT_EQ(SSL_connect(wire.ssl.get()), 1);
  for (int i = 0; i < 3; ++i) {
    wire.write(get("nameless.test"));
    std::string answer = wire.message();
    EXPECT_TRUE(i < 2 ? answer.ends_with("fine") : frozen(answer)) << answer;
  }
}

TEST_F(BudgetsTest, ARefusedTunnelDoesNotCountAsARequest) {
  auto site = origin("blind.test");
  rule_of("blind.test") = {{"host", "blind.test"}, {"limit", {{"requests", 1}}}};
  start();
  for (const std::string& opening : {std::string("nonsense"), get("blind.test")}) {
    TestPeer wire = connect_to("blind.test");
    wire.write(opening);
    EXPECT_EQ(wire.to_end(), "");
  }
  TestPeer other = connect_to("blind.test");
  other.ssl = std::move(*connect_tls(roots_.get(), {"other.test", false}, 443));
  SSL_set_fd(other.ssl.get(), other.fd.get());
  EXPECT_NE(SSL_connect(other.ssl.get()), 1);
  connect_to("blind.test");
  EXPECT_TRUE(answer_.starts_with("HTTP/1.1 200 ")) << answer_;
}

TEST_F(BudgetsTest, ACutTunnelLeavesNoBytesInThePipeForOthers) {
  constexpr size_t kWhole = 4 << 20, kSites = 8;
  std::atomic<size_t> strange = 0;
  auto receive = [&](TestPeer& wire, const std::string& head) {
    size_t received = 0;
    do {
      received += wire.in.size();
      if (head.find("free.test") != head.npos) strange += wire.in.find_first_not_of('y') != wire.in.npos;
      wire.in.clear();
    } while (received < kWhole && wire.more());
    wire.write("whole");
  };
  // The bytes after the ClientHello need not be TLS. Plain ones arrive faster than the guard takes them.
  auto hello = [&](const std::string& host) {
    Ssl ssl = std::move(*connect_tls(roots_.get(), {host, false}, 443));
    BIO* out = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), out);
    SSL_do_handshake(ssl.get());
    std::string bytes(1 << 14, '\0');
    bytes.resize(static_cast<size_t>(BIO_read(out, bytes.data(), static_cast<int>(bytes.size()))));
    return bytes + "\r\n\r\n";
  };
  std::vector<std::string> cut;
  std::vector<std::unique_ptr<RawOrigin>> sites;
  auto site = [&](const std::string& host, const json& limit) {
    sites.push_back(std::make_unique<RawOrigin>(nullptr, host, receive, RawOrigin::After::head));
    route(host, sites.back()->port);
    allow({{"host", host}, {"limit", limit}});
    return host;
  };
  for (size_t i = 0; i < kSites; ++i) cut.push_back(site(std::to_string(i) + ".cut.test", {{"bytes_up", 1'000'000}}));
  site("free.test", {{"requests", 1}});
  start();
  for (const auto& host : cut) {
    TestPeer wire = connect_to(host);
    wire.write(hello(host));
    for (int i = 0; i < 10 && wire.write(std::string(1 << 20, 'x')); ++i) {
    }
  }
  TestPeer wire = connect_to("free.test");
  EXPECT_TRUE(wire.write(hello("free.test")));
  EXPECT_TRUE(wire.write(std::string(kWhole, 'y')));
  EXPECT_EQ(wire.to_end(), "whole");
  EXPECT_EQ(strange, 0u) << "bytes of another tunnel came along";
}

TEST_F(BudgetsTest, TrailersCount) {
  RawOrigin server(
      ca_.get(), "up.test",
      [](TestPeer& wire, const std::string&) {
        while (wire.in.find("end\r\n\r\n") == std::string::npos && wire.more()) {
        }
        wire.write(ok("fine"));
      },
      RawOrigin::After::head);
  route("up.test", server.port);
  allow({{"host", "up.test"}, {"inspect", true}, {"limit", {{"bytes_up", 20'000}}}});
  start();
  std::string request =
      "POST / HTTP/1.1\r\nHost: up.test\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-Note: " +
      std::string(5'000, 'x') + "end\r\n\r\n";
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(ask("up.test", request).ends_with("fine"));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(frozen(ask("up.test", request)));
}

TEST_F(BudgetsTest, TheMessagesOfAWebSocketCount) {
  std::atomic<size_t> received = 0;
  auto server = limited_socket(received);
  TestPeer wire = upgraded("ws.test");
  for (int i = 0; i < 20 && wire.write(frame(WebSocketSender::client, 2, true, std::string(10'000, 'x'))); ++i) {
  }
  wire.to_end();
  EXPECT_EQ(audited("limit_reached")["action"], "deny");
  EXPECT_LE(received, 50'000u);
}

TEST_F(BudgetsTest, MessagesBeforeAnInvalidOneCount) {
  std::atomic<size_t> received = 0;
  auto server = limited_socket(received);
  for (int i = 0; i < 10; ++i) {
    TestPeer wire = upgraded("ws.test");
    wire.write(frame(WebSocketSender::client, 2, true, std::string(10'000, 'x')) + "\xff\xff");
    wire.to_end();
  }
  EXPECT_LE(received, 50'000u);
  EXPECT_EQ(audited("limit_reached")["action"], "deny");
}

TEST_F(BudgetsTest, DistinctNamesAreLimited) {
  std::vector<std::unique_ptr<Origin>> sites;
  for (const char* host : {"1.a.test", "2.a.test", "3.a.test"}) sites.push_back(origin(host));
  config_["egress"]["limit"] = {{"names", 2}};
  start();
  for (const char* host : {"1.a.test", "2.a.test", "1.a.test"})
    EXPECT_TRUE(ask(host, get(host)).ends_with("fine")) << host;
  EXPECT_TRUE(frozen(ask("3.a.test", get("3.a.test"))));
  EXPECT_EQ(hit(), (json{{"type", "limit"}, {"of", ""}, {"limit", "names"}, {"most", 2}}));
  EXPECT_EQ(sites[2]->accepted, 0);
}

constexpr const char* kStream =
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"claude-x\",\"usage\":{"
    "\"input_tokens\":1000,\"output_tokens\":1}}}\n\n"
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":200}}\n\n";

TEST_F(BudgetsTest, TheTokensOfAModelAreCountedFromItsAnswers) {
  auto answer = [](const std::string&) {
    std::string body = scan::gzipped(kStream);
    return "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\n\r\n" + body;
  };
  auto model = origin("model.test", answer), own = origin("own-model.test", answer),
       other = origin("other.test", answer);
  rule_of("own-model.test")["reads_usage"] = true;
  config_["egress"]["limit"] = {{"tokens", 2400}};
  config_["egress"]["prices"] =
      json::array({{{"model", "claude-*"}, {"input", 2}, {"output", 10}, {"cache_read", 1}, {"cache_write", 2}}});
  start();
  EXPECT_TRUE(ask("other.test", get("other.test")).starts_with("HTTP/1.1 200 "));
  EXPECT_TRUE(ask("model.test", get("model.test")).starts_with("HTTP/1.1 200 "));
  json line = audited("usage");
  EXPECT_EQ(line["host"], "model.test") << "only a model's host can count";
  EXPECT_EQ(line["reason"], "1000 tokens in, 200 out, claude-x");
  EXPECT_TRUE(ask("own-model.test", get("own-model.test")).starts_with("HTTP/1.1 200 "));
  EXPECT_TRUE(frozen(ask("model.test", get("model.test"))));
  EXPECT_TRUE(told("own-model.test", "tokens_out", 200));
  EXPECT_EQ(used_["model.test"]["tokens_in"], 1000);
  EXPECT_EQ(used_["model.test"]["cost"], 4000);
  EXPECT_EQ(used_["other.test"]["tokens_in"], 0);
}

TEST_F(BudgetsTest, AnAnswerThatIsCutOffCountsAsFarAsItWasRead) {
  RawOrigin model(ca_.get(), "model.test", [&](TestPeer& wire, const std::string&) {
    std::string events = kStream;
    wire.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" +
               events.substr(0, events.find("\n\n") + 2));
    wire.to_end();
  });
  route("model.test", model.port);
  allow({{"host", "model.test"}, {"inspect", true}});
  start();
  {
    TestPeer wire = secure("model.test");
    wire.write(get("model.test"));
    while (wire.in.find("message_start") == std::string::npos && wire.more()) {
    }
  }
  EXPECT_EQ(audited("usage")["reason"], "1000 tokens in, 1 out, claude-x");
}

TEST_F(BudgetsTest, TheTokensInTheMessagesOfAWebSocketAddUp) {
  RawOrigin model(ca_.get(), "model.test", [&](TestPeer& wire, const std::string&) {
    std::string done =
        frame(WebSocketSender::server, 1, true,
              R"({"type":"response.completed","response":{"usage":{"input_tokens":7,"output_tokens":2}}})");
    wire.write("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n" + done + done);
    wire.to_end();
  });
  route("model.test", model.port);
  allow({{"host", "model.test"}, {"inspect", true}});
  start();
  TestPeer wire = upgraded("model.test");
  EXPECT_TRUE(told("model.test", "tokens_in", 14));
  EXPECT_EQ(used_["model.test"]["tokens_out"], 4);
}

TEST_F(BudgetsTest, MessagesWithUsageWaitForTheRecord) {
  constexpr size_t kMessages = 6'000;
  std::string message = frame(WebSocketSender::server, 1, true, R"({"usage":{"input_tokens":1}})"), all;
  for (size_t i = 0; i < kMessages; ++i) all += message;
  RawOrigin model(ca_.get(), "model.test", [&](TestPeer& wire, const std::string&) {
    wire.write("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    wire.write(all);
    wire.to_end();
  });
  route("model.test", model.port);
  allow({{"host", "model.test"}, {"inspect", true}});
  start();
  TestPeer wire = upgraded("model.test");
  size_t received = 0;
  pollfd readable{wire.fd.get(), POLLIN, 0};
  while (received < all.size() && poll(&readable, 1, 500) == 1 && wire.more())
    received += std::exchange(wire.in, {}).size();
  EXPECT_LT(received, all.size()) << "although nobody reads the record";
  std::thread reader([&] { wire.to_end(); });
  for (size_t i = 0; i < kMessages; ++i)
    if (audited("usage")["type"] != "audit") break;
  shutdown(wire.fd.get(), SHUT_RDWR);
  reader.join();
  for (int i = 0; i < 120 && used_["model.test"]["tokens_in"] != kMessages; ++i) next_line(500);
  EXPECT_EQ(used_["model.test"]["tokens_in"], kMessages);
}

TEST(UsageWatch, StopsAtADecompressionBomb) {
  std::string text = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n";
  http::Head head;
  ASSERT_EQ(http::parse_response(text, head), Parse::ok);
  auto tokens = [&](size_t blanks) {
    auto watch = UsageWatch::make(head, false);
    watch->feed(scan::gzipped(std::string(blanks, ' ') + R"({"usage":{"input_tokens":7}})"));
    while (watch->behind()) watch->feed({});
    return watch->reader().usage().input;
  };
  EXPECT_EQ(tokens(1 << 20), 7u);
  EXPECT_EQ(tokens(UsageWatch::kMostAtOnce), 0u);
}

TEST(UsageWatch, ReadsWhatComesBeforeBrokenBytes) {
  std::string text = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n";
  http::Head head;
  ASSERT_EQ(http::parse_response(text, head), Parse::ok);
  auto watch = UsageWatch::make(head, false);
  watch->feed(scan::gzipped(R"({"usage":{"input_tokens":7}})") + "x");
  EXPECT_FALSE(watch->behind());
  EXPECT_EQ(watch->reader().usage().input, 7u);
}

TEST_F(BudgetsTest, TheNextGuardContinuesWithTheseCounts) {
  auto a = limited("a.test", {{"requests", 3}});
  config_["used"] = json::array({{{"host", "a.test"},
                                  {"names", 1},
                                  {"requests", 2},
                                  {"bytes_up", 9},
                                  {"tokens_in", 0},
                                  {"tokens_out", 0},
                                  {"cost", 0}}});
  start();
  EXPECT_TRUE(ask("a.test", get("a.test")).ends_with("fine"));
  EXPECT_TRUE(frozen(ask("a.test", get("a.test"))));
  EXPECT_EQ(hit()["most"], 3);
  config_["used"][0]["requests"] = 0;
  EXPECT_EQ(configure()["type"], "ready");
  EXPECT_TRUE(frozen(ask("a.test", get("a.test")))) << "only the first configuration says what was used before";
}

TEST_F(Http2Test, ALimitRefusesSingleStreams) {
  Http2Origin origin(ca_.get(), "a.test", [](const std::string&) { return ok("fine"); });
  inspect("a.test", origin.port, {{"limit", {{"requests", 5}}}});
  Peer peer = client("a.test");
  std::vector<std::shared_ptr<h2::Stream>> streams;
  for (int i = 0; i < 20; ++i) streams.push_back(peer.ask(kGet));
  int passed = 0, refused = 0;
  for (auto& each : streams) {
    std::string answer = peer.read(*each);
    passed += answer.ends_with("fine");
    refused += answer.starts_with("HTTP/1.1 403 ") && answer.find("x-bottle-deny: limit_reached") != answer.npos;
  }
  EXPECT_EQ(passed, 5);
  EXPECT_EQ(refused, 15);
  EXPECT_EQ(origin.served, 5);
}

}  // namespace
}  // namespace bottle::guard
