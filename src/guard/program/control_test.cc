// Tests the messages of the owner to the guard: new rules, certificates, the lines for the ssh-agent and the relay,
// and the guard's end.
#include "base/ids.h"
#include "base/text/base64.h"
#include "guard/program/guard_test.h"
#include "pki/seal.h"

namespace bottle::guard {
namespace {

TEST_F(GuardTest, accepts_new_rules_and_refuses_invalid_ones) {
  start();
  allow("late.test");
  route("late.test", 1);
  EXPECT_EQ(configure()["type"], "ready");
  EXPECT_EQ(raw("CONNECT late.test:443 HTTP/1.1\r\nHost: late.test:443\r\n\r\n").find("not_allowed"),
            std::string::npos);
  auto before = config_;
  config_["egress"]["allow"] = json::array({{{"host", "*"}, {"method", {"GET"}}}});
  EXPECT_EQ(configure()["type"], "error") << "a restriction that is not understood must not be dropped";
  config_ = before;
  config_["egress"]["on_secret"] = 7;
  EXPECT_EQ(configure()["type"], "error");
  EXPECT_NE(raw("CONNECT no.test:443 HTTP/1.1\r\nHost: no.test:443\r\n\r\n").find("not_allowed"), std::string::npos)
      << "the old rules stand";
}

TEST_F(GuardTest, AnInvalidConfigurationChangesNoRule) {
  Origin origin(ca_.get(), "api.test", [](const std::string&) { return ok("from the origin"); });
  allow({{"host", "api.test"}, {"methods", {"GET"}}, {"paths", {"/mine/**"}}});
  route("api.test", origin.port);
  start();
  auto ask = [&](const std::string& line) {
    TestPeer wire = secure("api.test");
    wire.write(line + " HTTP/1.1\r\nHost: api.test\r\n\r\n");
    return wire.message().substr(9, 3);
  };
  const json good = config_;
  auto with = [&](const std::function<void(json&)>& change) {
    json config = good;
    change(config);
    return config;
  };
  // Each configuration also drops the rule, and must not take effect in part when the rest is refused.
  for (const json& bad :
       {with([](json& c) { c["egress"]["allow"] = json::array({{{"host", "*"}, {"paths", {"no slash"}}}}); }),
        with([](json& c) { c["egress"]["allow"] = json::array({{{"host", "a b"}}}); }),
        with([](json& c) { c["egress"] = {{"allow", json::array()}, {"hosts", {{"x.test", json::array()}}}}; }),
        with([](json& c) { c["egress"] = {{"allow", json::array()}, {"parent_proxy", "http://"}}; }),
        with([](json& c) { c["egress"] = {{"allow", json::array()}, {"on_secret", "shrug"}}; }),
        with([](json& c) { c["host_networks"] = {"10.0.0.0/99"}; }), with([](json& c) { c["egress"] = "open"; })}) {
    config_ = bad;
    EXPECT_EQ(configure()["type"], "error") << bad;
    EXPECT_EQ(ask("GET /mine/a"), "200") << bad;
    EXPECT_EQ(ask("GET /other"), "403") << bad;
    EXPECT_EQ(ask("PUT /mine/a"), "403") << bad;
  }
  config_ = with([](json& c) { c["egress"]["allow"][0]["paths"] = {"/other"}; });
  EXPECT_EQ(configure()["type"], "ready");
  EXPECT_EQ(ask("GET /other"), "200");
  EXPECT_EQ(ask("GET /mine/a"), "403");
}

// The addresses on which a guard listens change all together or not at all.
TEST_F(GuardTest, AConfigurationWhoseNameServerCannotListenChangesNothing) {
  const std::string address = own_address();
  const uint16_t port = 3128, taken_port = 5353;
  auto at = [&](uint16_t number) {
    sockaddr_in to{.sin_family = AF_INET, .sin_port = htons(number)};
    inet_pton(AF_INET, address.c_str(), &to.sin_addr);
    return to;
  };
  UniqueFd taken(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  auto name_server = at(taken_port);
  ASSERT_EQ(bind(taken.get(), reinterpret_cast<sockaddr*>(&name_server), sizeof name_server), 0);
  auto listens = [&](sockaddr_in to) {
    UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    return connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
  };
  spawn();
  json good = config_;
  const uint16_t old_port = 3129;
  good["listen"] = json::array({address + ":" + std::to_string(old_port)});
  config_["listen"] = json::array({address + ":" + std::to_string(port)});
  config_["dns"] = address + ":" + std::to_string(taken_port);
  EXPECT_EQ(configure()["type"], "error");
  EXPECT_FALSE(listens(at(port))) << "without any configuration";
  std::swap(config_, good);
  json ready = configure();
  ASSERT_EQ(ready["type"], "ready") << ready;
  std::swap(config_, good);
  EXPECT_EQ(configure()["type"], "error");
  EXPECT_FALSE(listens(at(port)));
  TestPeer wire{dial_loopback(old_port, address), {}, {}};
  wire.write("GET http://no.test/ HTTP/1.1\r\nHost: no.test\r\n\r\n");
  EXPECT_TRUE(wire.message().starts_with("HTTP/1.1 403 "));
  taken.reset();
  EXPECT_EQ(configure()["type"], "ready");
  EXPECT_TRUE(listens(at(port)));
  EXPECT_FALSE(listens(at(old_port)));
}

TEST_F(GuardTest, sigterm_ends_it_cleanly) {
  start();
  kill(guard_->pid(), SIGTERM);
  EXPECT_EQ(next_line()["type"], "end");
}

TEST_F(GuardTest, ACertificateIsTakenOnceAndOnlyForItsOwnKey) {
  Origin origin(ca_.get(), "inspected.example.org",
                [](const std::string&) { return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"; });
  allow({{"host", "inspected.example.org"}, {"inspect", true}});
  route("inspected.example.org", origin.port);
  start();
  auto refused = [&](const std::string& pem) {
    EXPECT_TRUE(write_all(guard_->in(), json{{"type", "certificate"}, {"pem", pem}}.dump() + "\n"));
    for (json line;;)
      if ((line = next_line())["type"] != "audit") return line["type"] == "error";
  };
  // A second certificate, one for another key, and invalid text: none of them changes what clients see.
  EXPECT_TRUE(refused(*root_->certify(csr_)));
  EXPECT_TRUE(refused(ca_->pem()));
  EXPECT_TRUE(refused("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"));
  TestPeer wire = secure("inspected.example.org");
  ASSERT_TRUE(wire.ssl);
  STACK_OF(X509)* chain = SSL_get_peer_cert_chain(wire.ssl.get());
  ASSERT_EQ(sk_X509_num(chain), 2) << "the leaf and the guard's own authority; the root is with the client";
  wire.write("GET / HTTP/1.1\r\nHost: inspected.example.org\r\n\r\n");
  EXPECT_TRUE(wire.message().ends_with("ok"));
}

TEST_F(GuardTest, CarriesWholeAgentMessagesOnlyWithPermission) {
  start();
  std::string ask = "GET /ssh-agent HTTP/1.1\r\nHost: guard\r\n\r\n";
  EXPECT_TRUE(raw(ask).starts_with("HTTP/1.1 403 "));
  config_["ssh_agent"] = true;
  EXPECT_EQ(configure()["type"], "ready");
  TestPeer wire{dial_loopback(port_), {}, {}};
  wire.write(ask);
  EXPECT_TRUE(wire.message().starts_with("HTTP/1.1 101 "));
  auto line = [&] {
    json next;
    do next = next_line();
    while (next["type"] == "audit");
    return next;
  };
  // The messages come in pieces, and two of them in one write. One request is sent, and the second waits for the
  // first one's answer.
  wire.write(std::string("\0\0", 2));
  wire.write(std::string("\0\2ab\0\0\0\1c", 9));
  json first = line();
  EXPECT_EQ(first["type"], "ssh-agent");
  EXPECT_EQ(first["request"], base64("ab"));
  auto answer = [&](const json& number, const json& text) {
    json message = {{"type", "ssh-agent"}, {"connection", number}};
    if (!text.is_null()) message["answer"] = text;
    EXPECT_TRUE(write_all(guard_->in(), message.dump() + "\n"));
  };
  answer(99, "YWE=");  // no such connection
  answer(first["connection"], base64("yes"));
  while (wire.in.size() < 7) ASSERT_TRUE(wire.more());
  EXPECT_EQ(std::exchange(wire.in, {}), std::string("\0\0\0\3yes", 7));
  json second = line();
  EXPECT_EQ(second["request"], base64("c"));
  answer(second["connection"], nullptr);  // without an answer, the connection is closed
  EXPECT_EQ(wire.to_end(), "");
  EXPECT_EQ(line()["closed"], true);
  // No agent message has this length.
  TestPeer large{dial_loopback(port_), {}, {}};
  large.write(ask);
  large.message();
  large.write(std::string("\1\0\0\0", 4));
  EXPECT_EQ(large.to_end(), "");
}

// The owner of the keys must know the tunnel before the client can ask for a signature, and must learn of its end.
TEST_F(GuardTest, ReportsWhatTheServersOfItsSshTunnelsHaveSigned) {
  auto text = [](const std::string& bytes) { return std::string(3, '\0') + static_cast<char>(bytes.size()) + bytes; };
  auto packet = [&](const std::string& payload) { return text('\4' + payload + "pppp"); };
  const std::string key = text("ssh-ed25519") + text(std::string(32, 'k')), proof = text(key) + text("signature");
  Listener server;
  config_["ssh"] = {{{"host", "git.test"}, {"port", 22}, {"key", "ssh-ed25519 " + base64(key)}}};
  config_["ssh_agent"] = true;
  route("git.test", server.port);
  start();
  for (uint32_t number : {1u, 2u}) {
    TestPeer client = connect_to("git.test", 22);
    EXPECT_TRUE(answer_.starts_with("HTTP/1.1 200 ")) << answer_;
    TestPeer there = server.accept();
    there.write("SSH-2.0-x\r\n" + packet("\x14kexinit") + packet("\x1f" + text(key) + text("f") + text("signature")));
    auto report = [&] {
      json line;
      do line = next_line();
      while (line["type"] == "audit");
      return line;
    };
    EXPECT_EQ(report(), (json{{"type", "ssh-tunnel"}, {"tunnel", number}, {"exchange", to_hex(pki::digest(proof))}}));
    client.fd.reset();
    there.fd.reset();
    EXPECT_EQ(report(), (json{{"type", "ssh-tunnel"}, {"tunnel", number}}));
  }
}

TEST_F(GuardTest, RelayedHostsAreReachedOnlyThroughTheControlChannel) {
  config_["relay"] = {"lan.example.org"};
  allow({{"host", "lan.example.org"}, {"ports", {80}}, {"methods", {"GET"}}});
  start();
  std::string ask = "GET http://lan.example.org/x HTTP/1.1\r\nHost: lan.example.org\r\nConnection: close\r\n\r\n";
  auto say = [&](json message) { EXPECT_TRUE(write_all(guard_->in(), message.dump() + "\n")); };
  auto line = [&] {
    json next;
    do next = next_line();
    while (next["type"] == "audit");
    return next;
  };
  std::string away = raw(ask);
  EXPECT_TRUE(away.starts_with("HTTP/1.1 503 ")) << away;
  EXPECT_NE(away.find("X-Bottle-Error: operator_away"), std::string::npos) << away;
  say({{"type", "relay"}, {"up", true}});
  ASSERT_EQ(configure()["type"], "ready");  // lines are handled in order, so the previous one has been handled
  auto begin = [&](TestPeer& wire) {
    wire.write(ask);
    json open = line(), data = line();
    EXPECT_EQ(open["open"], true);
    EXPECT_EQ(data["stream"], open["stream"]);
    EXPECT_TRUE(
        from_base64(data.value("data", "")).value_or("").starts_with("GET http://lan.example.org/x HTTP/1.1\r\n"))
        << data;
    return open["stream"];
  };
  TestPeer wire{dial_loopback(port_), {}, {}};
  json number = begin(wire);
  say({{"type", "stream"}, {"stream", number}, {"data", base64("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")}});
  say({{"type", "stream"}, {"stream", 99}, {"data", base64("nobody's")}});
  // What was sent before the end still counts.
  say({{"type", "stream"}, {"stream", number}, {"data", base64("ok")}});
  say({{"type", "stream"}, {"stream", number}, {"closed", true}});
  EXPECT_TRUE(wire.message().ends_with("ok"));
  // If the data exceeds the window, or the other side is gone, the stream ends, and so does the request.
  for (const json& bad :
       {json{{"type", "stream"}, {"data", base64(std::string(300000, 'x'))}}, json{{"type", "relay"}, {"up", false}}}) {
    TestPeer other{dial_loopback(port_), {}, {}};
    json message = bad, its = begin(other);
    if (message["type"] == "stream") message["stream"] = its;
    say(message);
    EXPECT_TRUE(other.to_end().starts_with("HTTP/1.1 502 ")) << bad.dump().substr(0, 60);
    while (message["type"] == "stream" && line()["type"] != "stream") {
    }
  }
  EXPECT_TRUE(raw(ask).starts_with("HTTP/1.1 503 "));
  // The rules apply as for any other host.
  EXPECT_TRUE(raw("POST http://lan.example.org/x HTTP/1.1\r\nHost: lan.example.org\r\nConnection: "
                  "close\r\nContent-Length: 0\r\n\r\n")
                  .starts_with("HTTP/1.1 403 "));
}

// The agent has the value, so this guard must look for it although the broker inserts it.
TEST_F(GuardTest, AnExposedSecretThatIsRelayedDoesNotReachOtherHosts) {
  auto elsewhere = std::make_unique<Origin>(ca_.get(), "else.test", [](auto&) { return ok("fine"); });
  route("else.test", elsewhere->port);
  allow({{"host", "else.test"}, {"inspect", true}});
  allow("own.test");
  bind_secret("own.test", "X-Key: {}");
  config_["relay"] = {"own.test"};
  config_["secrets"][0]["relayed"] = true;
  config_["secrets"][0]["exposed"] = true;
  start();
  auto post = [&](const std::string& body) {
    TestPeer wire = secure("else.test");
    wire.write("POST / HTTP/1.1\r\nHost: else.test\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
               body);
    return wire.message();
  };
  EXPECT_NE(post(std::string("v=") + kValue).find("X-Bottle-Deny: secret\r\n"), std::string::npos);
  EXPECT_TRUE(post("v=1").ends_with("fine"));
  config_["secrets"][0]["exposed"] = false;
  EXPECT_EQ(configure()["type"], "error") << "only the broker may have a value that the agent does not have";
}

TEST_F(GuardTest, ARefusalByTheBrokerIsNotBlamedOnAParentProxy) {
  config_["relay"] = {"*"};
  allow({{"host", "named.example.org"}});
  start();
  auto say = [&](json message) { EXPECT_TRUE(write_all(guard_->in(), message.dump() + "\n")); };
  say({{"type", "relay"}, {"up", true}});
  ASSERT_EQ(configure()["type"], "ready");
  for (auto [said, code, reason] : {std::tuple("HTTP/1.1 403 bottle not_allowed\r\n\r\n", "relay", " answered 403"),
                                    std::tuple("nonsense\r\n\r\n", "relay", " sent an answer that is not HTTP: "),
                                    std::tuple("", "operator_away", " did not answer")}) {
    TestPeer wire{dial_loopback(port_), {}, {}};
    wire.write("CONNECT named.example.org:443 HTTP/1.1\r\nHost: named.example.org:443\r\n\r\n");
    json open = next_line();
    while (open["type"] == "audit" || (open["type"] == "stream" && !open.contains("open"))) open = next_line();
    if (*said) say({{"type", "stream"}, {"stream", open["stream"]}, {"data", base64(said)}});
    say({{"type", "stream"}, {"stream", open["stream"]}, {"closed", true}});
    std::string answer = wire.to_end();
    EXPECT_NE(answer.find(std::string("X-Bottle-Error: ") + code), answer.npos) << answer;
    json line = audited(code);
    while (line["type"] == "stream") line = audited(code);
    std::string why = line.value("reason", line.dump());
    EXPECT_TRUE(why.starts_with(std::string("the guard on the operator's machine") + reason)) << why;
  }
}

TEST_F(GuardTest, WithoutANetworkEveryHostIsRelayed) {
  config_["relay"] = {"*"};
  // The guard dials neither fixed addresses, nor the resolver, nor literal ssh hosts from its own network.
  config_["egress"]["hosts"] = {{"fixed.example.org", {"127.0.0.1:9"}}};
  config_["ssh"] = {{{"host", "192.168.1.9"}, {"port", 22}, {"key", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBA="}}};
  allow({{"host", "fixed.example.org"}});
  allow({{"host", "named.example.org"}});
  start();
  for (const char* to : {"fixed.example.org:443", "named.example.org:443", "192.168.1.9:22"}) {
    std::string answer = raw(std::string("CONNECT ") + to + " HTTP/1.1\r\nHost: " + to + "\r\n\r\n");
    EXPECT_NE(answer.find("X-Bottle-Error: operator_away"), std::string::npos) << to << answer;
  }
  EXPECT_TRUE(raw("CONNECT other.example.org:443 HTTP/1.1\r\nHost: other.example.org:443\r\n\r\n")
                  .starts_with("HTTP/1.1 403 "));
}

TEST_F(GuardTest, ItsHealthAnswerEndsWhenItDies) {
  start();
  TestPeer wire{dial_loopback(port_), {}, {}};
  wire.write("GET /alive HTTP/1.1\r\nHost: guard\r\n\r\n");
  EXPECT_TRUE(wire.message().starts_with("HTTP/1.1 200 "));
  pollfd p{wire.fd.get(), POLLIN, 0};
  EXPECT_EQ(poll(&p, 1, 200), 0) << "it ended early";
  EXPECT_TRUE(write_all(guard_->in(), "{\"type\":\"shutdown\"}\n"));
  EXPECT_EQ(poll(&p, 1, kPatienceMs), 1);
  EXPECT_FALSE(wire.more());
}

}  // namespace
}  // namespace bottle::guard
