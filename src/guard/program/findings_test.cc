// Checks what the guard does with credentials that it was not told about, and with known secrets in disguise.
#include <algorithm>

#include "base/ids.h"
#include "base/text/base64.h"
#include "guard/program/secrets_test.h"
#include "scan/compiler/compile.h"
#include "scan/content/compress_test.h"
#include "scan/rule_examples.h"

namespace bottle::guard {
namespace {

using scan::gzipped;

std::string chunked(std::string_view text, size_t size) { return in_chunks(text, size) + "0\r\n\r\n"; }

// Provides two secrets: `token`, whose form a rule knows, and `kOther`, the value of a secret that is bound to another
// host.
class FindingsTest : public SecretsTest {
 protected:
  const std::string token = scan::filled("ghp_<alnum 36>", 7);

  bool refused(const std::string& host, const std::string& request) {
    return ask(host, request).find("X-Bottle-Deny: secret\r\n") != std::string::npos;
  }
  static std::string get(const std::string& host, const std::string& target, const std::string& headers = "") {
    return "GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\n" + headers + "\r\n";
  }
};

TEST_F(FindingsTest, ACredentialIsRefusedWhereverItIsInARequest) {
  auto sink = origin("sink.test");
  start();
  std::string json_body = json{{"note", "the token is " + token}}.dump();
  std::string head = "POST / HTTP/1.1\r\nHost: sink.test\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const std::string& request : {
           get("sink.test", "/?q=" + token),
           get("sink.test", "/" + token),
           get("sink.test", "/", "X-Note: " + token + "\r\n"),
           get("sink.test", "/", "Authorization: Bearer " + token + "\r\n"),
           get("sink.test", "/", "Cookie: a=" + base64("x" + token) + "\r\n"),
           post("sink.test", json_body),
           post("sink.test", gzipped(json_body), "Content-Encoding: gzip\r\n"),
           head + chunked(json_body, 7),
           head + chunked(std::string(5000, ' ') + base64(to_hex(token)), 900),
       })
    EXPECT_TRUE(refused("sink.test", request)) << request.substr(0, 300);
  EXPECT_EQ(sink->last().find(token.substr(4)), std::string::npos) << sink->last();
  json line = audited("secret");
  EXPECT_EQ(line["action"], "deny");
  EXPECT_EQ(line.value("rule", ""), "github-token") << line;
  EXPECT_EQ(line.value("fingerprint", "").size(), 12u) << line;
  EXPECT_EQ(audit_.find(token), std::string::npos) << "the value is in the audit";
}

TEST_F(FindingsTest, TheAuditHasNoValueNotEvenInTheNameOfAHost) {
  allow("*");
  start();
  std::string host = std::string(kValue) + ".example.org";
  EXPECT_NE(raw("GET http://" + host + "/?q=" + token + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n").find("Deny: secret"),
            std::string::npos);
  EXPECT_EQ(audited("secret").value("rule", ""), "github-token");
  EXPECT_EQ(audit_.find(kValue), std::string::npos) << audit_;
}

// A server may record whatever method it gets.
TEST_F(FindingsTest, ASecretIsRefusedAsTheMethodAndAsTheProtocol) {
  auto sink = origin("sink.test"), model = origin("model.test");
  Origin plain(nullptr, "", [](auto&) { return ok("fine"); });
  route("plain.test", plain.port);
  allow({{"host", "plain.test"}, {"ports", {80}}});
  const std::string known = "Deploy.Key-0123456789-abcdef", key = scan::filled("AKIA<BASE32 16>", 7);
  config_["known"] = json::array({{{"name", "deploy"}, {"value", known}}});
  start();
  auto request = [](const std::string& method, const std::string& target, const std::string& host) {
    return method + " " + target + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n";
  };
  std::string reversed(known.rbegin(), known.rend());
  for (const std::string& method : {known, reversed, key, std::string(kValue)}) {
    EXPECT_TRUE(refused("sink.test", request(method, "/", "sink.test"))) << method;
    EXPECT_NE(raw(request(method, "http://plain.test/", "plain.test")).find("Deny: secret\r\n"), std::string::npos)
        << method;
    if (method != key) EXPECT_TRUE(refused("model.test", request(method, "/", "model.test"))) << method;
  }
  EXPECT_FALSE(refused("sink.test", request("PROPFIND", "/", "sink.test")));
  EXPECT_FALSE(refused("sink.test", request(known.substr(0, 14), "/", "sink.test")));
  EXPECT_TRUE(refused("sink.test", request(known.substr(14), "/", "sink.test"))) << "the second half of it";
  // A guard that has no secrets to insert passes any protocol.
  config_["secrets"] = json::array();
  ASSERT_EQ(configure()["type"], "ready");
  for (const std::string& protocol : {known, key})
    EXPECT_TRUE(refused("sink.test", get("sink.test", "/", "Connection: Upgrade\r\nUpgrade: " + protocol + "\r\n")));
  for (const std::string& text : {known, reversed, key, known.substr(14)})
    for (Origin* each : {sink.get(), model.get(), &plain}) EXPECT_EQ(each->last().find(text), std::string::npos);
}

// None of this is let through, but the record names the requests.
TEST_F(FindingsTest, TheAuditShowsNoSecretOfARefusedRequest) {
  uint16_t dns_port;
  listen_on_loopback(dns_port).reset();  // a port of TCP, because the tests' connections take many of those
  auto sink = origin("sink.test");
  const std::string known = "deploy-key-0123456789-abcdef", key = scan::filled("AKIA<BASE32 16>", 7);
  config_["known"] = json::array({{{"name", "deploy"}, {"value", known}}});
  config_["dns"] = "127.0.0.1:" + std::to_string(dns_port);
  allow({{"host", "read.test"}, {"ports", {80}}, {"methods", {"GET"}}, {"paths", {"/a/*"}}});
  start();
  for (const std::string& text : {known, key, std::string(kValue)}) {
    for (const std::string& request :
         {text + " http://other.test/ HTTP/1.1\r\nHost: other.test\r\n\r\n",
          "GET http://other.test/" + text + " HTTP/1.1\r\nHost: other.test\r\n\r\n",
          "GET http://" + text + ".other.test/ HTTP/1.1\r\nHost: other.test\r\n\r\n",
          "CONNECT " + text + ".other.test:443 HTTP/1.1\r\nHost: a\r\n\r\n",
          "CONNECT " + std::string(240, 'a') + "/" + text + " HTTP/1.1\r\nHost: a\r\n\r\n",
          "GET http://read.test/a/b HTTP/1.1\r\nHost: read.test\r\nX-HTTP-Method-" + text + ": PUT\r\n\r\n"})
      EXPECT_NE(raw(request).find("X-Bottle-"), std::string::npos) << request;
    EXPECT_FALSE(secure("sink.test", std::string(80, 'a') + "." + text + ".test").ssl);
    EXPECT_TRUE(refused("sink.test", text + " / HTTP/1.1\r\nHost: sink.test\r\n\r\n"));
    UniqueFd client(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_in to{.sin_family = AF_INET, .sin_port = htons(dns_port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    std::string query("\0\1\1\0\0\1\0\0\0\0\0\0", 12);
    query += static_cast<char>(text.size());
    query += text + std::string("\4test\0\0\1\0\1", 10);
    EXPECT_GT(sendto(client.get(), query.data(), query.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
    EXPECT_EQ(audited("nxdomain")["type"], "audit");
  }
  count_audited("");
  for (std::string text : {known.substr(0, 24), key, std::string(kValue).substr(0, 24)}) {
    EXPECT_EQ(audit_.find(text), std::string::npos) << audit_.substr(audit_.find(text) - 200, 400);
    std::ranges::transform(text, text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (!text.starts_with("akia")) EXPECT_EQ(audit_.find(text), std::string::npos) << text;
  }
}

// Resolving such a name would carry the secret to a name server.
TEST_F(FindingsTest, ANameWithASecretIsNotResolved) {
  uint16_t resolver_port;
  auto resolver = listen_on_loopback(resolver_port, SOCK_DGRAM);
  config_["egress"]["resolver"] = "127.0.0.1:" + std::to_string(resolver_port);
  const std::string known = "Deploy-Key-0123456789-abcdef";
  config_["known"] = json::array({{{"name", "deploy"}, {"value", known}}});
  allow("*.example.org");
  allow({{"host", "*.example.net"}, {"inspect", true}});
  allow("deploy-key-0123456789-abcdef.example.com");
  start();
  for (const std::string& name : {std::string(kValue), known, known.substr(0, 15) + "." + known.substr(15)})
    for (const char* domain : {".example.org", ".example.net"}) {
      connect_to(name + domain);
      EXPECT_NE(answer_.find("X-Bottle-Deny: secret\r\n"), std::string::npos) << name << domain << answer_;
      EXPECT_NE(raw("GET http://" + name + domain + "/ HTTP/1.1\r\nHost: " + name + domain + "\r\n\r\n")
                    .find("X-Bottle-Deny: secret\r\n"),
                std::string::npos)
          << name << domain;
    }
  pollfd readable{resolver.get(), POLLIN, 0};
  EXPECT_EQ(poll(&readable, 1, 0), 0) << "the resolver was asked";
  // The agent did not choose a name that the operator wrote in full.
  TestPeer client{dial_loopback(port_), {}, {}};
  std::string authority = "deploy-key-0123456789-abcdef.example.com:443";
  client.write("CONNECT " + authority + " HTTP/1.1\r\nHost: " + authority + "\r\n\r\n");
  EXPECT_EQ(poll(&readable, 1, kPatienceMs), 1);
}

TEST_F(FindingsTest, AKnownSecretIsRefusedInEveryEncoding) {
  auto sink = origin("sink.test");
  start();
  std::string value = kOther, wide;
  for (char c : value) wide += {c, '\0'};
  for (const std::string& disguised :
       {std::string(value.rbegin(), value.rend()), to_hex(value), base64(base64("ab" + value)), base64(gzipped(value)),
        to_hex(wide), gzipped("first " + value)})
    EXPECT_TRUE(refused("sink.test", post("sink.test", "x " + disguised + " y"))) << disguised;
  EXPECT_TRUE(sink->last().empty() || body_of(sink->last()).size() <= 2) << sink->last();
  EXPECT_EQ(audited("secret").value("secret", ""), "db");
}

TEST_F(FindingsTest, TheAuditNamesAKnownSecretWhereverItIsInARequest) {
  auto sink = origin("sink.test"), db = origin("db.test");
  start();
  std::string value = kOther;
  for (const std::string& request :
       {get("sink.test", "/", "X-Note: " + value + "\r\n"), get("sink.test", "/", "X-Note: " + to_hex(value) + "\r\n"),
        get("sink.test", "/?q=" + to_hex(value)), post("sink.test", value), post("sink.test", to_hex(value))}) {
    EXPECT_TRUE(refused("sink.test", request)) << request;
    EXPECT_EQ(audited("secret").value("secret", ""), "db") << request;
  }
  // The placeholder is in the wrong place.
  EXPECT_TRUE(refused("db.test", get("db.test", "/", std::string("X-Note: ") + kOtherPlaceholder + "\r\n")));
  EXPECT_EQ(audited("secret").value("secret", ""), "db");
  config_["egress"]["on_secret"] = "warn";
  ASSERT_EQ(configure()["type"], "ready");
  EXPECT_FALSE(refused("sink.test", post("sink.test", value)));
  json line = audited("secret");
  EXPECT_EQ(line["action"], "allow");
  EXPECT_EQ(line.value("secret", ""), "db");
}

TEST_F(FindingsTest, HarmlessDataPasses) {
  auto sink = origin("sink.test");
  start();
  std::string body = json{{"id", "123e4567-e89b-12d3-a456-426614174000"},
                          {"integrity", "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="},
                          {"note", "set GITHUB_TOKEN=ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}}
                         .dump();
  EXPECT_TRUE(ask("sink.test", post("sink.test", body,
                                    "If-None-Match: \"33a64df551425fcc55e4d42a148795d9f25f89d4\"\r\n"
                                    "Idempotency-Key: 8e03978e-40d5-43e8-bc93-6894a57f9324\r\n"))
                  .ends_with("fine"));
  EXPECT_EQ(body_of(sink->last()), body);
  std::string large(300000, 'x');
  EXPECT_TRUE(ask("sink.test", post("sink.test", large)).ends_with("fine"));
  EXPECT_EQ(body_of(sink->last()), large);
}

TEST_F(FindingsTest, TheModelGetsTheSameMarkerEachTimeAndTheSessionContinues) {
  auto model = origin("model.test");
  start();
  std::string key = "-----BEGIN PRIVATE KEY-----\n";
  for (uint32_t line = 0; line < 50; ++line) key += scan::filled("<base64 64>\n", line);
  std::string body = json{{"env", "GITHUB_TOKEN=" + token + "\n"}, {"key", key + "-----END PRIVATE KEY-----\n"}}.dump();
  std::string first;
  for (size_t size : {100000u, 900u, 1024u, 7u}) {
    ASSERT_TRUE(ask("model.test",
                    "POST / HTTP/1.1\r\nHost: model.test\r\nContent-Type: application/json\r\n"
                    "Transfer-Encoding: chunked\r\n\r\n" +
                        chunked(body, size))
                    .ends_with("fine"));
    std::string sent = body_of(model->last());
    EXPECT_EQ(sent.size(), body.size());
    json parsed = json::parse(sent, nullptr, false);
    ASSERT_TRUE(parsed.is_object()) << sent;
    EXPECT_TRUE(parsed["env"].get<std::string>().starts_with("GITHUB_TOKEN=[redacted: github-token]")) << sent;
    EXPECT_TRUE(parsed["key"].get<std::string>().starts_with("[redacted: private-key]*")) << sent;
    for (uint32_t line = 0; line < 50; ++line)
      EXPECT_EQ(sent.find(scan::filled("<base64 64>", line)), std::string::npos) << "line " << line;
    if (first.empty()) first = sent;
    EXPECT_EQ(sent, first) << "the provider's cache needs the same text";
  }
  EXPECT_EQ(count_audited("credential_to_model"), 2) << "one for each credential";
  EXPECT_EQ(audit_.find(token), std::string::npos);
}

TEST_F(FindingsTest, TheModelGetsMarkersInEveryPlace) {
  auto model = origin("model.test");
  start();
  std::string body = json{{"env", "GITHUB_TOKEN=" + token}}.dump();
  std::string type = "Content-Type: application/json\r\nContent-Encoding: gzip\r\n";
  for (const std::string& request : {post("model.test", gzipped(body), type),
                                     "POST / HTTP/1.1\r\nHost: model.test\r\n" + type +
                                         "Transfer-Encoding: chunked\r\n\r\n" + chunked(gzipped(body), 7)}) {
    ASSERT_TRUE(ask("model.test", request).ends_with("fine"));
    std::string sent = model->last();
    EXPECT_EQ(sent.find("Content-Encoding"), sent.npos) << sent;
    EXPECT_NE(sent.find("[redacted: github-token]"), sent.npos) << sent;
    EXPECT_EQ(sent.find(token), sent.npos) << sent;
  }
  for (const std::string& request :
       {get("model.test", "/v1/" + token + "/x"), get("model.test", "/v1?q=" + token + "&a=1"),
        get("model.test", "/v1", "X-Note: my " + token + " here\r\n")}) {
    ASSERT_TRUE(ask("model.test", request).ends_with("fine")) << request;
    std::string sent = model->last();
    EXPECT_NE(sent.find("redacted-github-token"), sent.npos) << sent;
    EXPECT_EQ(sent.find(token), sent.npos) << sent;
  }
  EXPECT_NE(ask("model.test", post("model.test", "not gzip at all", type)).find("X-Bottle-Deny: bad_request"),
            std::string::npos);
  EXPECT_EQ(audited("bad_request")["action"], "deny");
  std::string large(3'000'000, 'x');
  ASSERT_TRUE(ask("model.test", post("model.test", gzipped(large), type)).ends_with("fine"));
  EXPECT_GE(model->last().size(), large.size());
  EXPECT_EQ(audit_.find(token), std::string::npos);
}

TEST_F(FindingsTest, ABodyInAnUnknownCodingPassesOnlyToTheModel) {
  auto model = origin("model.test"), sink = origin("sink.test");
  start();
  EXPECT_TRUE(refused("sink.test", post("sink.test", "some bytes", "Content-Encoding: lzma\r\n")));
  EXPECT_TRUE(ask("model.test", post("model.test", "some bytes", "Content-Encoding: lzma\r\n")).ends_with("fine"));
  EXPECT_EQ(audited("unreadable_body")["host"], "model.test");
  EXPECT_TRUE(ask("sink.test", get("sink.test", "/", "Content-Encoding: lzma\r\n")).ends_with("fine")) << "no body";
  for (const char* header : {"grpc-encoding: snappy", "grpc-encoding: BR", "Connect-Content-Encoding: lz4"})
    EXPECT_TRUE(refused("sink.test", post("sink.test", "some bytes", header + std::string("\r\n")))) << header;
  std::string token = scan::filled("ghp_<alnum 36>", 7), packed = scan::gzipped("a message with " + token);
  std::string message{'\1', '\0', '\0', '\0', static_cast<char>(packed.size())};
  EXPECT_TRUE(refused("sink.test", post("sink.test", message + packed, "grpc-encoding: gzip\r\n")));
  EXPECT_TRUE(ask("sink.test", post("sink.test", "some bytes", "grpc-encoding: gzip\r\n")).ends_with("fine"));
}

// The operator sees that later bodies cannot be read, too, but an agent cannot fill the record with such lines.
TEST_F(FindingsTest, RecordsFurtherBodiesThatItCannotRead) {
  auto model = origin("model.test");
  start();
  constexpr int kBodies = 40, kRecorded = 17;  // the first 16, and number 32
  for (int i = 0; i < kBodies; ++i)
    EXPECT_TRUE(ask("model.test", post("model.test", "some bytes", "Content-Encoding: lzma\r\n")).ends_with("fine"));
  (void)ask("model.test", post("model.test", "not gzip at all", "Content-Encoding: gzip\r\n"));
  int recorded = 0;
  for (std::string code; code != "bad_request"; code = next_line().value("code", ""))
    recorded += code == "unreadable_body";
  EXPECT_EQ(recorded, kRecorded);
  EXPECT_NE(audit_.find("(number 32 to this host)"), std::string::npos);
}

TEST_F(FindingsTest, ManyFindingsThatMayLeaveHideNoOther) {
  auto model = origin("model.test"), sink = origin("sink.test");
  config_["egress"]["on_secret_for"] = {{"gitlab-token", "warn"}};
  start();
  std::string noise;
  for (int i = 0; i < 256; ++i) noise += scan::filled("glpat-<alnum 20> ", 1);
  EXPECT_TRUE(ask("sink.test", post("sink.test", noise)).ends_with("fine"));
  EXPECT_TRUE(refused("sink.test", post("sink.test", noise + token)));
  EXPECT_TRUE(refused("sink.test", get("sink.test", "/", "X-Note: " + noise + "\r\nX-Other: " + token + "\r\n")));
  EXPECT_TRUE(ask("model.test", post("model.test", noise + noise + token)).ends_with("fine")) << "it may have more";
  EXPECT_EQ(audited("unreadable_body")["host"], "model.test");
}

// Each piece passes alone. Joined, they exceed a limit of the scan, which would hide a secret after them.
TEST_F(FindingsTest, PiecesThatSpendALimitAreRefused) {
  auto sink = origin("sink.test");
  start();
  std::string words;
  for (int i = 0; i < 24; ++i) words += "zoo ";
  EXPECT_TRUE(ask("sink.test", post("sink.test", words)).ends_with("fine"));
  EXPECT_TRUE(refused("sink.test", post("sink.test", words)));
}

TEST_F(FindingsTest, OnSecretAppliesToARuleOrAHost) {
  auto sink = origin("sink.test"), other = origin("other.test");
  for (auto& rule : config_["egress"]["allow"])
    if (rule["host"] == "other.test") rule["on_secret"] = "redact";
  config_["egress"]["on_secret_for"] = {{"gitlab-token", "warn"}};
  start();
  std::string gitlab = scan::filled("glpat-<alnum 20>", 3);
  EXPECT_TRUE(refused("sink.test", post("sink.test", token)));
  EXPECT_TRUE(ask("other.test", post("other.test", "a " + token + " b")).ends_with("fine"));
  EXPECT_EQ(body_of(other->last()), "a [redacted: github-token]" + std::string(token.size() - 24, '*') + " b");
  EXPECT_TRUE(ask("sink.test", post("sink.test", gitlab)).ends_with("fine"));
  EXPECT_EQ(body_of(sink->last()), gitlab);
  config_["egress"]["on_secret_for"] = {{"gitlab-token", "shout"}};
  EXPECT_EQ(configure()["type"], "error");
}

TEST_F(FindingsTest, RulesOfTheOperatorApply) {
  auto sink = origin("sink.test");
  auto own = [](const std::string& text) {
    return json{{"text", text}, {"database", to_hex(*scan::compile(*scan::parse_rules(text)))}};
  };
  std::string rule = "[acme-key]\nis: an Acme key\npattern: acme_[a-z0-9]{20}\nyes: acme_<base36 20>\nno: acme_1\n";
  config_["own_rules"] = own(rule);
  start();
  std::string acme = "acme_" + scan::filled("<base36 20>", 3);
  EXPECT_TRUE(refused("sink.test", post("sink.test", "x " + acme)));
  EXPECT_TRUE(refused("sink.test", post("sink.test", "x " + base64("key " + acme))));
  EXPECT_TRUE(refused("sink.test", post("sink.test", token))) << "the carried rules count too";
  json line = audited("secret");
  EXPECT_EQ(line.value("rule", ""), "acme-key") << line;
  EXPECT_NE(line.value("reason", "").find("an Acme key"), std::string::npos) << line;
  // Invalid rules change nothing: the last valid ones stay in force.
  config_["own_rules"] = {{"text", "[x]\nis: y\n"}, {"database", ""}};
  json error = configure();
  EXPECT_EQ(error["type"], "error");
  EXPECT_NE(error.value("what", error.dump()).find("line 2"), std::string::npos) << error;
  config_["own_rules"] = {{"text", rule}, {"database", "0g"}};
  EXPECT_EQ(configure()["type"], "error");
  EXPECT_TRUE(refused("sink.test", post("sink.test", "x " + acme)));
  // A rule with the id of a built-in rule replaces it.
  config_["own_rules"] =
      own("[github-token]\nis: a token of ours\npattern: ours_[a-z0-9]{20}\n"
          "yes: ours_<base36 20>\nno: ours_1\n");
  ASSERT_EQ(configure()["type"], "ready");
  EXPECT_FALSE(refused("sink.test", post("sink.test", token)));
  EXPECT_TRUE(refused("sink.test", post("sink.test", "ours_" + scan::filled("<base36 20>", 3))));
}

TEST_F(FindingsTest, ARandomValueIsOnlyRecorded) {
  auto sink = origin("sink.test");
  start();
  std::string value = scan::filled("<alnum 60>", 11);
  EXPECT_TRUE(ask("sink.test", post("sink.test", json{{"sessionWord", value}}.dump())).ends_with("fine"));
  json line = audited("possible_secret");
  EXPECT_EQ(line["action"], "allow");
  EXPECT_EQ(line.value("rule", ""), "random-value") << line;
}

TEST_F(FindingsTest, AnExceptionIsAFingerprint) {
  auto sink = origin("sink.test");
  start();
  EXPECT_TRUE(refused("sink.test", post("sink.test", token)));
  config_["egress"]["allowed_secrets"] = json::array({audited("secret")["fingerprint"]});
  ASSERT_EQ(configure()["type"], "ready");
  EXPECT_TRUE(ask("sink.test", post("sink.test", token)).ends_with("fine"));
  EXPECT_TRUE(refused("sink.test", post("sink.test", scan::filled("ghp_<alnum 36>", 8)))) << "another one";
  config_["egress"]["allowed_secrets"] = json::array({token});
  EXPECT_EQ(configure()["type"], "error") << "not by value";
}

TEST_F(FindingsTest, ASecretInPiecesIsRefusedWithItsLastPiece) {
  auto sink = origin("sink.test");
  start();
  EXPECT_TRUE(ask("sink.test", get("sink.test", "/?a=" + token.substr(0, 15))).ends_with("fine"));
  EXPECT_TRUE(ask("sink.test", get("sink.test", "/?a=" + token.substr(15, 15))).ends_with("fine"));
  EXPECT_TRUE(refused("sink.test", get("sink.test", "/?a=" + token.substr(30))));
}

TEST_F(FindingsTest, ATokenThatAServerGaveMayComeBack) {
  auto sink = origin("sink.test");
  start();
  std::string jwt = scan::filled("<jwt>", 5);
  EXPECT_TRUE(ask("sink.test", get("sink.test", "/", "Authorization: Bearer " + jwt + "\r\n")).ends_with("fine"));
  EXPECT_EQ(audited("possible_secret").value("rule", ""), "jwt");
  EXPECT_TRUE(refused("sink.test", post("sink.test", jwt))) << "elsewhere it is a credential";
}

TEST_F(FindingsTest, ABodyThatPausesIsNotHeldBack) {
  // The row may be the beginning of a credential whose rest never arrives.
  const std::string line = "a line of it\n", row = "x=" + scan::filled("<base64url 200>", 5);
  RawOrigin sink(
      ca_.get(), "sink.test",
      [&](TestPeer& wire, const std::string& head) {
        const std::string& part = head.starts_with("POST /line ") ? line : row;
        while (wire.in.find(part) == std::string::npos && wire.more()) {
        }
        wire.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nseen");
      },
      RawOrigin::After::head);
  route("sink.test", sink.port);
  allow({{"host", "sink.test"}, {"inspect", true}});
  start();
  for (const std::string& rest : {"/line HTTP/1.1\r\nHost: sink.test\r\nContent-Length: 1000\r\n\r\n" + line,
                                  "/row HTTP/1.1\r\nHost: sink.test\r\nContent-Length: 1000\r\n\r\n" + row}) {
    TestPeer wire = secure("sink.test");
    ASSERT_TRUE(wire.ssl);
    wire.write("POST " + rest);
    EXPECT_TRUE(wire.message().ends_with("seen")) << "the server waits for these bytes, the client for its answer";
  }
}

TEST_F(FindingsTest, ASecretThatPausesInItsMiddleIsRefusedAtOnce) {
  auto sink = origin("sink.test");
  start();
  for (const std::string& begun : {"t=" + token.substr(0, 30), "t=" + std::string(kOther).substr(0, 20),
                                   "t=" + base64("ab" + std::string(kOther)).substr(0, 32)}) {
    TestPeer wire = secure("sink.test");
    ASSERT_TRUE(wire.ssl);
    wire.write("POST / HTTP/1.1\r\nHost: sink.test\r\nContent-Length: 1000\r\n\r\n" + begun);
    EXPECT_NE(wire.message().find("X-Bottle-Deny: secret\r\n"), std::string::npos) << begun;
  }
  EXPECT_EQ(body_of(sink->last()), "");
}

TEST_F(FindingsTest, ASlowUploadWithoutPausesGetsWholeMarkers) {
  auto model = origin("model.test");
  start();
  std::string body = "DB=" + std::string(kOther) + " and t=" + token + ".";
  ASSERT_TRUE(ask("model.test", post("model.test", body)).ends_with("fine"));
  std::string whole = body_of(model->last());
  // On a busy machine, most uploads may pause, so one without a pause is enough.
  std::string got;
  for (int tries = 0; tries < 500 && got != whole; ++tries) {
    std::string request = post("model.test", body);
    TestPeer wire = secure("model.test");
    wire.write(request.substr(0, request.size() - body.size()));
    trickle(wire, body, 8);
    ASSERT_TRUE(wire.message().ends_with("fine"));
    got = body_of(model->last());
  }
  EXPECT_EQ(got, whole);
}

// The rules have judged the path as the client sent it.
TEST_F(FindingsTest, RedactionNeverChangesAPath) {
  auto elsewhere = origin("else.test");
  config_["egress"]["on_secret"] = "redact";
  start();
  auto get = [&](const std::string& target) {
    return ask("else.test", "GET " + target + " HTTP/1.1\r\nHost: else.test\r\n\r\n");
  };
  for (std::string secret : {kOtherPlaceholder, kOther})
    EXPECT_NE(get("/x/" + secret).find("X-Bottle-Deny: secret\r\n"), std::string::npos) << secret;
  EXPECT_TRUE(get("/x?q=" + std::string(kOther)).ends_with("fine"));
  EXPECT_TRUE(elsewhere->last().starts_with("GET /x?q=***")) << elsewhere->last();
}

}  // namespace
}  // namespace bottle::guard
