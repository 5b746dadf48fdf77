// Tests what the guard lets through, refuses, and changes on the way.
#include "guard/program/guard_test.h"

#include "base/text/base64.h"

namespace bottle::guard {
namespace {

TEST_F(GuardTest, denies_by_default_and_reveals_little) {
  start();
  std::string answer = raw("CONNECT secret.example.org:443 HTTP/1.1\r\nHost: secret.example.org:443\r\n\r\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 403")) << answer;
  EXPECT_NE(answer.find("X-Bottle-Deny: not_allowed"), answer.npos);
  json line = audited("not_allowed");
  EXPECT_EQ(line["action"], "deny");
  EXPECT_EQ(line["host"], "secret.example.org");
  EXPECT_NE(answer.find(line["id"].get<std::string>()), answer.npos);
  EXPECT_NE(raw("GET / HTTP/1.1\r\nHost: guard\r\n\r\n").find("bottle guard"), std::string::npos);
  EXPECT_NE(raw("GET http://example.org/ HTTP/1.1\r\nHost: example.org\r\n\r\n").find("403"), std::string::npos);
  EXPECT_NE(raw("GET http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n")
                .find("bad_request"),
            std::string::npos);
}

TEST_F(GuardTest, refuses_addresses_in_every_spelling) {
  uint16_t port;
  auto canary = listen_on_loopback(port);
  allow({{"host", "*"}, {"ports", {port, 443, 80}}});
  start();
  for (const char* host : {"127.0.0.1", "127.1", "0x7f.1", "2130706433", "017700000001", "127.0.0.1.", "[::1]",
                           "[::ffff:127.0.0.1]", "169.254.169.254"}) {
    std::string authority = std::string(host) + ":" + std::to_string(port);
    EXPECT_NE(
        raw("CONNECT " + authority + " HTTP/1.1\r\nHost: " + authority + "\r\n\r\n").find("X-Bottle-Deny: ip_literal"),
        std::string::npos)
        << host;
    EXPECT_NE(raw("GET http://" + authority + "/ HTTP/1.1\r\nHost: " + authority + "\r\n\r\n")
                  .find("X-Bottle-Deny: ip_literal"),
              std::string::npos)
        << host;
  }
  // c-ares answers localhost itself, without a question.
  EXPECT_NE(raw("CONNECT x.localhost:443 HTTP/1.1\r\nHost: x.localhost:443\r\n\r\n").find("403"), std::string::npos);
  pollfd p{canary.get(), POLLIN, 0};
  EXPECT_EQ(poll(&p, 1, 100), 0) << "somebody reached loopback";
}

TEST_F(GuardTest, does_not_resolve_denied_names_and_checks_resolved_addresses) {
  uint16_t resolver_port;
  auto resolver = listen_on_loopback(resolver_port, SOCK_DGRAM);
  config_["egress"]["resolver"] = "127.0.0.1:" + std::to_string(resolver_port);
  allow("rebind.example.org");
  start();
  raw("CONNECT leak.example.net:443 HTTP/1.1\r\nHost: leak.example.net:443\r\n\r\n");
  raw("CONNECT rebind.example.org:22 HTTP/1.1\r\nHost: rebind.example.org:22\r\n\r\n");
  pollfd p{resolver.get(), POLLIN, 0};
  EXPECT_EQ(poll(&p, 1, 100), 0) << "a denied name was resolved";
  std::thread server([&] {
    while (poll(&p, 1, kPatienceMs) == 1) {
      char buffer[512];
      sockaddr_in from;
      socklen_t size = sizeof from;
      ssize_t n = recvfrom(resolver.get(), buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&from), &size);
      if (n < 12) return;
      std::string reply(buffer, static_cast<size_t>(n));
      size_t end = reply.find('\0', 12) + 5;
      bool a = reply[end - 3] == 1;
      reply.resize(end);
      reply[2] = '\x81', reply[3] = '\x80', reply[7] = a ? 1 : 0, reply[9] = reply[11] = 0;
      if (a) reply += std::string("\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x0a\1\2\3", 16);
      sendto(resolver.get(), reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
    }
  });
  std::string answer = raw("CONNECT rebind.example.org:443 HTTP/1.1\r\nHost: rebind.example.org:443\r\n\r\n");
  EXPECT_NE(answer.find("X-Bottle-Deny: address"), answer.npos) << answer;
  shutdown(resolver.get(), SHUT_RD);  // wakes the server
  server.join();
}

TEST_F(GuardTest, does_not_resolve_names_that_carry_data) {
  uint16_t resolver_port;
  auto resolver = listen_on_loopback(resolver_port, SOCK_DGRAM);
  config_["egress"]["resolver"] = "127.0.0.1:" + std::to_string(resolver_port);
  std::string named = "4d5f3a9b2c8e7f1a0b6d4c3f.example.net";
  allow("*");
  allow(named);
  start();
  auto code = [&](const std::string& request) {
    std::string answer = raw(request);
    return answer.find("X-Bottle-Deny: name_carries_data\r\n") != answer.npos;
  };
  for (std::string name : {"4d5f3a9b2c8e7f1a0b6d4c3e.t.example.net", "nbswy3dpeb3w64tmmqqho2lu.example.net",
                           "a.b.c.d.e.f.g.example.net"}) {
    EXPECT_TRUE(code("CONNECT " + name + ":443 HTTP/1.1\r\nHost: " + name + ":443\r\n\r\n")) << name;
    EXPECT_TRUE(code("GET http://" + name + "/ HTTP/1.1\r\nHost: " + name + "\r\n\r\n")) << name;
  }
  pollfd p{resolver.get(), POLLIN, 0};
  EXPECT_EQ(poll(&p, 1, 100), 0) << "a name that carries data was resolved";
  TestPeer wire{dial_loopback(port_), {}, {}};
  wire.write("CONNECT " + named + ":443 HTTP/1.1\r\nHost: " + named + ":443\r\n\r\n");
  EXPECT_EQ(poll(&p, 1, kPatienceMs), 1) << "the operator wrote this name in full";
}

TEST_F(GuardTest, names_do_not_lead_to_the_guards_own_machine) {
  config_["host_networks"] = {"8.8.4.4/32", "8.8.8.0/24", "2600:1:2::/64", "2600:1:2::7/128"};
  auto compiled = [this] { return compile(*wire::decode<wire::GuardConfig>(config_.dump(), wire::From::ours)); };
  auto config = compiled();
  ASSERT_TRUE(config) << config.error().what;
  auto why = [&](const char* address) { return std::string((*config)->refusal(*policy::parse_address(address))); };
  EXPECT_EQ(why("8.8.4.4"), "an address of the machine that the guard runs on");
  EXPECT_EQ(why("8.8.8.8"), "in a local network of the machine that the guard runs on");
  EXPECT_EQ(why("2600:1:2::9"), "in a local network of the machine that the guard runs on");
  EXPECT_EQ(why("2600:1:2::7"), "an address of the machine that the guard runs on");
  EXPECT_EQ(why("10.1.2.3"), "private");
  for (const char* address : {"8.8.4.5", "8.8.9.8", "2600:1:3::7", "1.1.1.1"}) EXPECT_EQ(why(address), "") << address;
  for (const char* bad : {"8.8.8.8", "8.8.8.0/33", "x/8", ""}) {
    config_["host_networks"] = {bad};
    EXPECT_FALSE(compiled()) << bad;
  }
}

TEST_F(GuardTest, inspects_all_ports_of_a_host_with_a_reaction_of_its_own) {
  auto inspected = [this](const json& first) {
    config_["egress"]["allow"] = json::array({first, {{"host", "Paste.test"}, {"ports", {8443}}}});
    auto config = compile(*wire::decode<wire::GuardConfig>(config_.dump(), wire::From::ours));
    return config && (*config)->rules.connect(*policy::normalise_host("paste.test"), 8443).inspect;
  };
  EXPECT_FALSE(inspected({{"host", "paste.test"}}));
  EXPECT_TRUE(inspected({{"host", "paste.test"}, {"inspect", true}, {"on_secret", "block"}}));
  EXPECT_TRUE(inspected({{"host", "paste.test"}, {"inspect", true}, {"on_injection", "block"}}));
}

TEST_F(GuardTest, tunnels_only_tls_blindly) {
  Origin origin(ca_.get(), "blind.test", [](auto&) { return ok(std::string(3'000'000, 'x')); });
  route("blind.test", origin.port);
  allow("blind.test");
  start();
  TestPeer wire = secure("blind.test");
  ASSERT_TRUE(wire.ssl);
  wire.write("GET / HTTP/1.1\r\nHost: blind.test\r\n\r\n");
  EXPECT_EQ(wire.message().size(), ok(std::string(3'000'000, 'x')).size());
  wire = {};
  EXPECT_EQ(audited("")["action"], "close");
  TestPeer plain = connect_to("blind.test");
  EXPECT_TRUE(answer_.starts_with("HTTP/1.1 200")) << answer_;
  plain.write("GET / HTTP/1.1\r\n\r\n");
  EXPECT_EQ(plain.to_end(), "");
  EXPECT_EQ(audited("tls_only")["action"], "deny");
  EXPECT_FALSE(secure("blind.test", "other.test").ssl);
  EXPECT_EQ(audited("sni")["action"], "deny");
  TestPeer other = connect_to("blind.test", 80);
  other.write("\x01 neither");
  EXPECT_EQ(other.to_end(), "");
  EXPECT_EQ(audited("tls_only")["port"], 80);
}

TEST_F(GuardTest, inspects_by_method_and_path) {
  Origin origin(ca_.get(), "api.test",
                [](const std::string& request) { return ok(request.substr(0, request.find('\r'))); });
  route("api.test", origin.port);
  allow({{"host", "api.test"}, {"methods", {"GET"}}, {"paths", {"/mine/**"}}});
  start();
  TestPeer wire = secure("api.test");
  ASSERT_TRUE(wire.ssl);
  for (const char* path : {"/mine/a", "/mine/b"}) {
    wire.write("GET " + std::string(path) + " HTTP/1.1\r\nHost: api.test\r\n\r\n");
    EXPECT_TRUE(wire.message().ends_with("GET " + std::string(path) + " HTTP/1.1"));
  }
  for (const char* line :
       {"POST /mine/a", "GET /yours", "GET /mine/../yours", "GET /mine/%2e%2e/yours", "GET /mine/..%2fyours"}) {
    wire.write(std::string(line) + " HTTP/1.1\r\nHost: api.test\r\n\r\n");
    EXPECT_TRUE(wire.message().starts_with("HTTP/1.1 403")) << line;
  }
  wire.write("GET /mine/c HTTP/1.1\r\nHost: elsewhere.test\r\n\r\n");
  EXPECT_NE(wire.message().find("host_mismatch"), std::string::npos);
  wire.write("GET /mine/d HTTP/1.1\r\nHost: api.test\r\n\r\n");
  EXPECT_TRUE(wire.message().ends_with("/mine/d HTTP/1.1"));
  EXPECT_EQ(origin.accepted, 1) << "the upstream connection is kept";
}

TEST_F(GuardTest, inserts_the_secret_only_for_its_host) {
  Origin mine(ca_.get(), "mine.test", [](auto&) { return ok("fine"); }),
      other(ca_.get(), "other.test", [](auto&) { return ok("fine"); }),
      plain(nullptr, "", [](auto&) { return ok("fine"); });
  route("mine.test", mine.port);
  route("other.test", other.port);
  route("plain.test", plain.port);
  allow("mine.test");
  allow("plain.test");
  allow({{"host", "other.test"}, {"inspect", true}});
  bind_secret("mine.test");
  start();
  TestPeer wire = secure("mine.test");
  ASSERT_TRUE(wire.ssl);
  wire.write("GET / HTTP/1.1\r\nHost: mine.test\r\nAuthorization: Bearer " + std::string(kPlaceholder) +
             "\r\nAccept-Encoding: gzip\r\n\r\n");
  EXPECT_TRUE(wire.message().ends_with("fine"));
  EXPECT_NE(mine.last().find("Authorization: Bearer " + std::string(kValue) + "\r\n"), std::string::npos)
      << mine.last();
  EXPECT_NE(mine.last().find("Accept-Encoding: identity\r\n"), std::string::npos);
  EXPECT_EQ(mine.last().find("gzip"), std::string::npos);
  wire.write("GET / HTTP/1.1\r\nHost: mine.test\r\nAuthorization: Basic " + base64("me:" + std::string(kPlaceholder)) +
             "\r\n\r\n");
  wire.message();
  EXPECT_NE(mine.last().find(base64("me:" + std::string(kValue))), std::string::npos) << mine.last();
  for (std::string secret : {kPlaceholder, kValue}) {
    std::string body = std::string(100'000, 'x') + secret + "yyy";
    for (const std::string& request :
         {"GET /?q=" + secret + " HTTP/1.1\r\nHost: other.test\r\n\r\n",
          "GET / HTTP/1.1\r\nHost: other.test\r\nX-A: b" + secret + "\r\n\r\n",
          "GET / HTTP/1.1\r\nHost: other.test\r\nAuthorization: Basic " + base64(secret) + "\r\n\r\n",
          "POST / HTTP/1.1\r\nHost: other.test\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body,
          "POST / HTTP/1.1\r\nHost: other.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n" + secret.substr(0, 5) +
              "\r\n9\r\n" + secret.substr(5, 9) + "\r\n8\r\n" + secret.substr(14, 8) + "\r\n6\r\n" +
              (secret.size() > 22 ? secret.substr(22, 6) : "zzzzzz") + "\r\n0\r\n\r\n"}) {
      TestPeer to_other = secure("other.test");
      ASSERT_TRUE(to_other.ssl);
      to_other.write(request);
      EXPECT_NE(to_other.message().find("X-Bottle-Deny: secret\r\n"), std::string::npos) << request.substr(0, 120);
    }
    EXPECT_EQ(other.last().find(secret), std::string::npos);
    // A secret does not even go to its own host if nothing proves the identity of that host.
    EXPECT_NE(raw("GET http://plain.test/ HTTP/1.1\r\nHost: plain.test\r\nX: " + secret + "\r\n\r\n")
                  .find("X-Bottle-Deny: secret"),
              std::string::npos);
  }
  EXPECT_EQ(plain.accepted, 0);
}

TEST_F(GuardTest, sets_the_header_from_its_template) {
  Origin origin(ca_.get(), "mine.test", [](auto&) { return ok("fine"); });
  route("mine.test", origin.port);
  allow("mine.test");
  bind_secret("mine.test", "X-Key: v={};");
  start();
  TestPeer wire = secure("mine.test");
  ASSERT_TRUE(wire.ssl);
  wire.write("GET / HTTP/1.1\r\nHost: mine.test\r\nx-key: mine\r\n\r\n");
  wire.message();
  EXPECT_NE(origin.last().find("X-Key: v=" + std::string(kValue) + ";\r\n"), std::string::npos);
  EXPECT_EQ(origin.last().find("x-key: mine"), std::string::npos);
}

TEST_F(GuardTest, removes_the_value_from_answers) {
  Origin origin(ca_.get(), "mine.test", [](const std::string& request) {
    if (request.starts_with("GET /head"))
      return "HTTP/1.1 200 OK\r\nX: " + std::string(kValue) + "\r\nContent-Length: 0\r\n\r\n";
    return ok("your token is " + std::string(kValue));
  });
  route("mine.test", origin.port);
  allow("mine.test");
  bind_secret("mine.test");
  start();
  for (const char* path : {"/head", "/body"}) {
    TestPeer wire = secure("mine.test");
    ASSERT_TRUE(wire.ssl);
    wire.write("GET " + std::string(path) + " HTTP/1.1\r\nHost: mine.test\r\n\r\n");
    std::string answer = wire.to_end();
    EXPECT_EQ(answer.find(std::string(kValue).substr(0, 12)), answer.npos) << answer;
    EXPECT_EQ(audited("secret_in_answer")["action"], "deny");
  }
}

TEST_F(GuardTest, verifies_the_upstream) {
  auto stranger = std::move(*SessionCa::self_signed());
  Origin wrong_ca(stranger.get(), "a.test", [](auto&) { return ok("no"); }),
      wrong_name(ca_.get(), "other.test", [](auto&) { return ok("no"); });
  route("a.test", wrong_ca.port);
  route("b.test", wrong_name.port);
  allow({{"host", "*.test"}, {"inspect", true}});
  start();
  for (const char* host : {"a.test", "b.test"}) {
    TestPeer wire = secure(host);
    ASSERT_TRUE(wire.ssl);
    wire.write("GET / HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n");
    EXPECT_NE(wire.message().find("upstream_tls"), std::string::npos) << host;
  }
}

TEST_F(GuardTest, forwards_plain_http_and_upgrades) {
  Origin origin(nullptr, "", [](const std::string& request) {
    if (request.find("Upgrade: websocket") != request.npos)
      return std::string(
          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nraw bytes");
    return std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
  });
  route("plain.test", origin.port);
  allow("plain.test");
  start();
  TestPeer wire{dial_loopback(port_), {}, {}};
  wire.write(
      "GET http://plain.test/a HTTP/1.1\r\nHost: plain.test\r\nProxy-Connection: x\r\nConnection: X-Drop\r\nX-Drop: "
      "1\r\n\r\n");
  while (wire.in.find("0\r\n\r\n") == std::string::npos && wire.more()) {
  }
  EXPECT_TRUE(wire.in.ends_with("5\r\nhello\r\n0\r\n\r\n")) << wire.in;
  EXPECT_TRUE(origin.last().starts_with("GET /a HTTP/1.1\r\nHost: plain.test\r\n")) << origin.last();
  EXPECT_EQ(origin.last().find("Drop"), std::string::npos);
  wire.in.clear();
  wire.write(
      "GET http://plain.test/ws HTTP/1.1\r\nHost: plain.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  while (wire.in.find("raw bytes") == std::string::npos && wire.more()) {
  }
  EXPECT_TRUE(wire.in.starts_with("HTTP/1.1 101")) << wire.in;
}

TEST_F(GuardTest, goes_through_a_parent_proxy) {
  Origin parent(nullptr, "", [](const std::string& request) {
    return request.starts_with("CONNECT") ? std::string("HTTP/1.1 200 OK\r\n\r\n") : ok("from the parent");
  });
  config_["egress"]["parent_proxy"] = "http://u:p@127.0.0.1:" + std::to_string(parent.port);
  allow("far.example.org");
  start();
  EXPECT_NE(raw("GET http://far.example.org/x HTTP/1.1\r\nHost: far.example.org\r\nConnection: close\r\n\r\n")
                .find("from the parent"),
            std::string::npos);
  EXPECT_TRUE(parent.last().starts_with("GET http://far.example.org/x HTTP/1.1\r\n")) << parent.last();
  EXPECT_NE(parent.last().find("Proxy-Authorization: Basic " + base64("u:p")), std::string::npos);
  connect_to("far.example.org");
  EXPECT_TRUE(answer_.starts_with("HTTP/1.1 200"));
  EXPECT_TRUE(parent.last().starts_with("CONNECT far.example.org:443 HTTP/1.1\r\n"));
}

TEST_F(GuardTest, AsksAParentProxyForTheOptionsOfAServer) {
  Origin parent(nullptr, "", [](const std::string&) { return ok("from the parent"); });
  config_["egress"]["parent_proxy"] = "http://127.0.0.1:" + std::to_string(parent.port);
  allow("far.example.org");
  start();
  TestPeer tunnel = connect_to("far.example.org", 80);
  for (const char* target : {"*", "http://far.example.org"}) {
    tunnel.write("OPTIONS " + std::string(target) + " HTTP/1.1\r\nHost: far.example.org\r\n\r\n");
    EXPECT_TRUE(tunnel.message().ends_with("from the parent")) << target;
    EXPECT_TRUE(parent.last().starts_with("OPTIONS http://far.example.org HTTP/1.1\r\n")) << parent.last();
  }
}

TEST_F(GuardTest, SignsInToAParentProxy) {
  Origin parent(nullptr, "", [](const std::string& request) {
    bool signed_in = request.find("Basic " + base64("me@corp:p@ss/w:d!")) != request.npos;
    if (!signed_in) return std::string("HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n");
    return request.starts_with("CONNECT") ? std::string("HTTP/1.1 200 OK\r\n\r\n") : ok("from the parent");
  });
  std::string at = "127.0.0.1:" + std::to_string(parent.port);
  config_["egress"]["parent_proxy"] = "http://me%40corp:p%40ss%2Fw:d!@" + at;
  allow("far.example.org");
  start();
  std::string request = "GET http://far.example.org/x HTTP/1.1\r\nHost: far.example.org\r\nConnection: close\r\n\r\n";
  EXPECT_NE(raw(request).find("from the parent"), std::string::npos);
  connect_to("far.example.org");
  EXPECT_TRUE(answer_.starts_with("HTTP/1.1 200")) << answer_;
  config_["egress"]["parent_proxy"] = "http://" + at;
  config_["egress"]["parent_login"] = "me@corp:p@ss/w:d!";
  EXPECT_EQ(configure()["type"], "ready");
  EXPECT_NE(raw(request).find("from the parent"), std::string::npos);
  config_["egress"]["parent_login"] = "me@corp:wrong";
  EXPECT_EQ(configure()["type"], "ready");
  EXPECT_TRUE(raw(request).starts_with("HTTP/1.1 502 bottle parent_proxy\r\n"));
  std::string reason = audited("parent_proxy")["reason"];
  EXPECT_NE(reason.find("parent_proxy_login"), reason.npos) << reason;
  connect_to("far.example.org");
  EXPECT_TRUE(answer_.starts_with("HTTP/1.1 502 bottle parent_proxy\r\n")) << answer_;
  EXPECT_EQ(audit_.find("wrong"), audit_.npos) << "the password is in the audit";
}

TEST_F(GuardTest, ARefusalIsNotRecordedUnderTheHostBeforeIt) {
  Origin site(nullptr, "", [](const std::string&) { return ok("fine"); });
  route("site.test", site.port);
  allow({{"host", "site.test"}, {"ports", {80}}});
  start();
  for (const char* bad : {"GET ftp://other.test/ HTTP/1.1\r\nHost: other.test\r\n\r\n", "GET  / HTTP/1.1\r\n\r\n"}) {
    TestPeer wire{dial_loopback(port_), {}, {}};
    wire.write("GET http://site.test/ HTTP/1.1\r\nHost: site.test\r\n\r\n");
    EXPECT_TRUE(wire.message().ends_with("fine"));
    wire.write(bad);
    EXPECT_TRUE(wire.message().starts_with("HTTP/1.1 400")) << bad;
    json line = audited("bad_request");
    EXPECT_EQ(line.value("host", ""), "") << line;
    EXPECT_EQ(line.value("port", 0), 0) << line;
  }
}

TEST_F(GuardTest, ALanRouteMustBeALocalServiceWithAUniqueName) {
  start();
  allow("taken.example.org");
  auto says = [&](json route) {
    config_["egress"]["lan"] = json::array({route});
    json answer = configure();
    return answer["type"] == "error" ? answer["what"].get<std::string>() : answer["type"].get<std::string>();
  };
  EXPECT_EQ(
      says({{"name", "tracker.bottle"}, {"to", "192.168.1.20:8080"}, {"methods", {"GET"}}, {"paths", {"/issues/**"}}}),
      "ready");
  for (std::string to :
       {"127.0.0.1:80", "0.0.0.0:80", "169.254.169.254:80", "224.0.0.1:80", "255.255.255.255:80", "[::1]:80",
        "[::ffff:127.0.0.1]:80", "[::127.0.0.1]:80", "[fe80::1]:80", "[ff02::1]:80", "192.168.1.20", "tracker:80", ""})
    EXPECT_NE(says({{"name", "tracker.bottle"}, {"to", to}}), "ready") << to;
  EXPECT_NE(says({{"name", "taken.example.org"}, {"to", "192.168.1.20:80"}}), "ready");
  EXPECT_NE(says({{"name", "10.0.0.1"}, {"to", "192.168.1.20:80"}}), "ready");
  EXPECT_NE(says({{"name", "tracker.bottle"}, {"to", "192.168.1.20:80"}, {"method", {"GET"}}}), "ready")
      << "a restriction that is misspelt";
  // The rule allows only the name and port that it names.
  EXPECT_EQ(
      says({{"name", "tracker.bottle"}, {"to", "192.168.1.20:8080"}, {"methods", {"GET"}}, {"paths", {"/issues/**"}}}),
      "ready");
  EXPECT_TRUE(
      raw("POST http://tracker.bottle/issues/1 HTTP/1.1\r\nHost: tracker.bottle\r\n\r\n").starts_with("HTTP/1.1 403"));
  EXPECT_TRUE(
      raw("GET http://tracker.bottle/admin HTTP/1.1\r\nHost: tracker.bottle\r\n\r\n").starts_with("HTTP/1.1 403"));
  EXPECT_TRUE(raw("GET http://tracker.bottle:8080/issues/1 HTTP/1.1\r\nHost: tracker.bottle:8080\r\n\r\n")
                  .starts_with("HTTP/1.1 403"));
  EXPECT_TRUE(raw("GET http://192.168.1.20:8080/issues/1 HTTP/1.1\r\nHost: 192.168.1.20:8080\r\n\r\n")
                  .starts_with("HTTP/1.1 403"));
  EXPECT_TRUE(
      raw("CONNECT tracker.bottle:443 HTTP/1.1\r\nHost: tracker.bottle:443\r\n\r\n").starts_with("HTTP/1.1 403"));
}

// The supervisor adds such rules when the operator allows more of the service.
TEST_F(GuardTest, ARuleMayAllowMoreOfALanRoute) {
  config_["egress"]["lan"] = json::array(
      {{{"name", "tracker.bottle"}, {"to", "192.168.1.20:8080"}, {"methods", {"GET"}}, {"paths", {"/issues/**"}}}});
  config_["relay"] = {"tracker.bottle"};  // so that an allowed request has an answer and goes nowhere
  start();
  auto says = [&](const json& rule) {
    config_["egress"]["allow"] = json::array({rule});
    return configure()["type"];
  };
  for (const json& ports : {json::array(), json::array({443}), json::array({80, 443})})
    EXPECT_EQ(says({{"host", "tracker.bottle"}, {"ports", ports}}), "error") << ports;
  EXPECT_EQ(says({{"host", "tracker.bottle"}, {"deny", true}}), "ready");
  auto get = [&](const std::string& path) {
    return raw("GET http://tracker.bottle" + path + " HTTP/1.1\r\nHost: tracker.bottle\r\n\r\n");
  };
  EXPECT_NE(get("/issues/1").find("X-Bottle-Deny"), std::string::npos);
  json more = {{"host", "tracker.bottle"}, {"ports", {80}}, {"methods", {"GET"}}, {"paths", {"/admin"}}};
  EXPECT_EQ(says(more), "ready");
  EXPECT_NE(get("/other").find("X-Bottle-Deny"), std::string::npos);
  for (const char* path : {"/admin", "/issues/1"})
    EXPECT_NE(get(path).find("X-Bottle-Error: operator_away"), std::string::npos) << path;
}

}  // namespace
}  // namespace bottle::guard
