// Tests where the guard inserts secrets, where it lets them pass, and where it refuses them.
#include "guard/program/secrets_test.h"

#include <netinet/tcp.h>

#include "base/ids.h"
#include "base/text/base64.h"
#include "scan/content/compress_test.h"
#include "scan/rule_examples.h"

namespace bottle::guard {
namespace {

TEST_F(SecretsTest, APlaceholderPassesToTheModelAnywhereAndIsReportedOnce) {
  auto model = origin("model.test");
  start();
  std::string other = kOtherPlaceholder, own = kPlaceholder;
  for (int turn = 0; turn < 3; ++turn) {
    std::string body = json{{"env", "DB=" + other + "\nTOKEN=" + own}}.dump();
    EXPECT_TRUE(ask("model.test", "POST /v1/" + other + "?q=" + other + " HTTP/1.1\r\nHost: model.test\r\nX-Note: " +
                                      other + "\r\nAuthorization: Bearer " + own +
                                      "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body)
                    .ends_with("fine"));
    std::string last = model->last();
    EXPECT_TRUE(last.starts_with("POST /v1/" + other + "?q=" + other + " HTTP/1.1\r\n")) << last;
    EXPECT_NE(last.find("X-Note: " + other + "\r\n"), last.npos);
    EXPECT_NE(last.find("Authorization: Bearer " + std::string(kValue) + "\r\n"), last.npos) << "its own is put in";
    EXPECT_EQ(body_of(last), body);
  }
  EXPECT_EQ(count_audited("placeholder_to_model"), 2) << "one for each secret";
}

TEST_F(SecretsTest, AValueOnItsWayToTheModelBecomesAMarkerOfTheSameLength) {
  auto model = origin("model.test");
  start();
  std::string value = kOther, marked = "[redacted: db]" + std::string(value.size() - 14, '*');
  json request = {{"content", "DB=" + value + "\nand again " + value}, {"own", std::string("T=") + kValue}};
  std::string body = request.dump();
  std::string escaped =
      "[redacted: db]" + std::string(value.size() + 2 - 14, '*');  // as long as the value with its escapes
  json expected = {{"content", "DB=" + escaped + "\nand again " + escaped},
                   {"own", "T=[redacted: tok]" + std::string(strlen(kValue) - 15, '*')}};
  ASSERT_TRUE(ask("model.test", post("model.test", body)).ends_with("fine"));
  EXPECT_EQ(json::parse(body_of(model->last())), expected);
  EXPECT_NE(model->last().find("Content-Length: " + std::to_string(body.size()) + "\r\n"), std::string::npos);
  // The value is split by chunks and by TLS records.
  TestPeer wire = secure("model.test");
  ASSERT_TRUE(wire.ssl);
  wire.write(
      "POST /v1/messages HTTP/1.1\r\nHost: model.test\r\nContent-Type: application/json\r\nTransfer-Encoding: "
      "chunked\r\n\r\n");
  for (size_t at = 0; at < body.size(); at += 5) {
    std::string piece = body.substr(at, 5);
    wire.write(std::to_string(piece.size()) + "\r\n" + piece + "\r\n");
  }
  wire.write("0\r\n\r\n");
  EXPECT_TRUE(wire.message().ends_with("fine"));
  EXPECT_EQ(json::parse(body_of(model->last())), expected);
  // The value is in a body that is not JSON, and in the head.
  ASSERT_TRUE(ask("model.test", "PUT /f?" + std::string(kValue) + " HTTP/1.1\r\nHost: model.test\r\nX-Note: " + value +
                                    "\r\nContent-Length: " + std::to_string(value.size()) + "\r\n\r\n" + value)
                  .ends_with("fine"));
  EXPECT_EQ(body_of(model->last()), marked);
  EXPECT_EQ(model->last().find(kValue), std::string::npos) << model->last();
  EXPECT_NE(model->last().find("X-Note: " + marked + "\r\n"), std::string::npos) << model->last();
  EXPECT_EQ(count_audited("secret_to_model"), 2);
}

TEST_F(SecretsTest, AMarkerInBase64IsEncodedToo) {
  auto model = origin("model.test");
  start();
  std::string text = base64("user:" + std::string(kOther) + "\n");
  ASSERT_TRUE(ask("model.test", post("model.test", "{\"data\":\"" + text + "\"}")).ends_with("fine"));
  std::string sent = json::parse(body_of(model->last()))["data"];
  ASSERT_EQ(sent.size(), text.size());
  auto decoded = from_base64(sent);
  ASSERT_TRUE(decoded) << sent;
  EXPECT_NE(decoded->find("redacted: db]"), std::string::npos) << *decoded;
  EXPECT_TRUE(decoded->starts_with("user:")) << *decoded;
}

// These are two messages of a conversation, compressed with brotli: one has kOther in it, and one has no secret.
constexpr const char* kSecretInBrotli =
    "G5IAIBwHbqzMTtBwSgwib6naVXta0bzA3iYglN8Xi06A6OSA+d8OXcPAypoH6cmKQrb5HFUw6cAueaDCxe6UCjPpGCAYZGhnp4Piy5a4Fm4lSqu3"
    "Uue3vIL4stUb4jnYuNqFGAE=";
constexpr const char* kHarmlessInBrotli =
    "G5UAQBwHbqzMTtBwSgxkc6nKstiS7Tx6HjzCq1gsOgECNbkH5tseKGieJRAkGGJ2Q2o/M12+0SKiYU3yQIIPV/Mrg3jDbhbK8huyT7zfHqw7daKc"
    "dQSs8foQ8bSWyrQxewA=";

TEST_F(SecretsTest, ACodedBodyForTheModelIsReadOrRefused) {
  auto model = origin("model.test");
  start();
  std::string secret = json{{"note", kOther}}.dump(), harmless = json{{"note", "nothing"}}.dump();
  for (const auto& [coding, with_secret, without] :
       {std::tuple("br", *from_base64(kSecretInBrotli), *from_base64(kHarmlessInBrotli)),
        std::tuple("zstd", scan::zstd(secret), scan::zstd(harmless)),
        std::tuple("zstd", scan::zstd(secret, true), scan::zstd(harmless, true)),
        std::tuple("gzip", scan::gzipped(secret), scan::gzipped(harmless))}) {
    SCOPED_TRACE(coding);
    std::string header = "Content-Encoding: " + std::string(coding) + "\r\n";
    auto answer = [&](const std::string& body, size_t piece = 0) {
      if (piece == 0) return ask("model.test", post("model.test", body, header));
      return ask("model.test", "POST / HTTP/1.1\r\nHost: model.test\r\nContent-Type: application/json\r\n" + header +
                                   "Transfer-Encoding: chunked\r\n\r\n" + in_chunks(body, piece) + "0\r\n\r\n");
    };
    for (size_t piece : {0u, 1u, 7u}) {
      ASSERT_TRUE(answer(without, piece).ends_with("fine"));
      EXPECT_NE(model->last().find("nothing"), std::string::npos) << model->last();
      EXPECT_EQ(model->last().find("Content-Encoding"), std::string::npos);
      ASSERT_TRUE(answer(with_secret, piece).ends_with("fine"));
      std::string sent = model->last();
      EXPECT_NE(sent.find("[redacted: db]"), std::string::npos) << sent;
      EXPECT_EQ(sent.find("db-value"), std::string::npos) << sent;
    }
    // Nothing of a body that does not match its coding may look complete to the model.
    std::vector<std::string> broken{with_secret + "x", std::string(without).append("x").append(secret),
                                    std::string(without).append(with_secret).append("x")};
    for (size_t cut : {size_t{1}, size_t{2}, size_t{9}, with_secret.size() / 2})
      broken.push_back(with_secret.substr(0, with_secret.size() - cut));
    bool has_members = std::string_view(coding) == "gzip";
    if (!has_members) broken.push_back(without + with_secret);
    for (const std::string& body : broken) {
      EXPECT_EQ(answer(body).find("fine"), std::string::npos) << to_hex(body);
      EXPECT_EQ(model->last().find("db-value"), std::string::npos) << model->last();
    }
    if (!has_members) continue;
    ASSERT_TRUE(answer(without + with_secret).ends_with("fine"));
    EXPECT_NE(model->last().find("[redacted: db]"), std::string::npos) << model->last();
  }
}

// A file is uploaded as one part of a form.
TEST_F(SecretsTest, ASecretInAnUploadToTheModelIsReplacedWithinItsPart) {
  auto model = origin("model.test");
  start();
  std::string part = "--xx\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n";
  std::string end = "\r\n--xx\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nuser_data\r\n--xx--\r\n";
  std::string text = "the value is " + std::string(kOther);
  for (const std::string& content : {text, base64(text), to_hex(text), scan::gzipped(text), scan::deflated(text, 15),
                                     scan::zstd(text), base64(scan::gzipped(text)), scan::zip_entry("a", text)}) {
    std::string body = std::string(part).append(content).append(end);
    std::string request =
        "POST /v1/files HTTP/1.1\r\nHost: model.test\r\nContent-Type: multipart/form-data; boundary=xx\r\n"
        "Content-Length: ";
    request.append(std::to_string(body.size())).append("\r\n\r\n").append(body);
    ASSERT_TRUE(ask("model.test", request).ends_with("fine"));
    std::string sent = body_of(model->last());
    EXPECT_EQ(sent.size(), body.size());
    EXPECT_TRUE(sent.starts_with(part)) << sent;
    EXPECT_TRUE(sent.ends_with(end)) << sent;
    EXPECT_EQ(sent.find(content), std::string::npos) << sent;
  }
}

TEST_F(SecretsTest, JsonForTheModelStaysValid) {
  // Text that looks like the value only because of a backslash before it is not the value.
  config_["secrets"][1]["value"] = "nothing-to-see\\";
  auto model = origin("model.test");
  start();
  std::string body = R"({"a":"x\nothing-to-see\\","b":"nothing-to-see\"","c":"nothing-to-see\\"})";
  ASSERT_TRUE(ask("model.test", post("model.test", body)).ends_with("fine"));
  json sent = json::parse(body_of(model->last()), nullptr, false);
  ASSERT_TRUE(sent.is_object()) << model->last();
  EXPECT_EQ(sent["a"], "x\nothing-to-see\\");
  EXPECT_EQ(sent["b"], "nothing-to-see\"");
  EXPECT_EQ(sent["c"], "[redacted: db]**");
}

TEST_F(SecretsTest, OtherHostsGetNeitherPlaceholderNorValue) {
  auto model = origin("model.test"), elsewhere = origin("else.test");
  start();
  for (std::string secret : {kOtherPlaceholder, kOther})
    EXPECT_NE(ask("else.test", post("else.test", json(secret).dump())).find("X-Bottle-Deny: secret\r\n"),
              std::string::npos)
        << secret;
  EXPECT_EQ(elsewhere->last().find("placeholder"), std::string::npos);
}

TEST_F(SecretsTest, ARequestWithARefusedBodyDoesNotReachTheServer) {
  std::vector<std::string> seen;
  RawOrigin server(
      ca_.get(), "else.test",
      [&](TestPeer& wire, const std::string& head) {
        seen.push_back(head.substr(0, head.find(' ', 5)));
        wire.write(ok("fine"));
      },
      RawOrigin::After::head);
  route("else.test", server.port);
  allow({{"host", "else.test"}, {"inspect", true}});
  start();
  TestPeer wire = secure("else.test");
  // Sends two TLS records that arrive together.
  int cork = 1;
  setsockopt(wire.fd.get(), IPPROTO_TCP, TCP_CORK, &cork, sizeof cork);
  std::string request = post("else.test", kOther);
  size_t end = request.find("\r\n\r\n") + 4;
  wire.write(request.substr(0, end));
  wire.write(request.substr(end));
  cork = 0;
  setsockopt(wire.fd.get(), IPPROTO_TCP, TCP_CORK, &cork, sizeof cork);
  EXPECT_NE(wire.message().find("X-Bottle-Deny: secret\r\n"), std::string::npos);
  EXPECT_TRUE(ask("else.test", "GET /after HTTP/1.1\r\nHost: else.test\r\n\r\n").ends_with("fine"));
  EXPECT_EQ(seen, std::vector<std::string>{"GET /after"});
}

TEST_F(SecretsTest, APlaceholderIsReplacedOnlyInItsHeader) {
  auto db = origin("db.test");
  start();
  std::string value = kOther, placeholder = kOtherPlaceholder;
  auto sent = [&](const std::string& header) {
    return ask("db.test", "GET / HTTP/1.1\r\nHost: db.test\r\n" + header + "\r\n\r\n");
  };
  EXPECT_TRUE(sent("Authorization: Token " + placeholder).ends_with("fine"));
  EXPECT_NE(db->last().find("Authorization: Token " + value + "\r\n"), std::string::npos) << db->last();
  EXPECT_TRUE(sent("authorization: Basic " + base64("me:" + placeholder + "zz")).ends_with("fine"));
  EXPECT_NE(db->last().find(base64("me:" + value + "zz")), std::string::npos) << db->last();
  for (const std::string& header :
       {"X-Trace: " + placeholder, "X-Trace: Basic " + base64(placeholder + "zz"), "Cookie: a=" + placeholder,
        "X-" + placeholder + ": 1", "X-Trace: " + base64("yy" + placeholder)}) {
    EXPECT_NE(sent(header).find("X-Bottle-Deny: secret\r\n"), std::string::npos) << header;
    EXPECT_EQ(db->last().find("X-"), std::string::npos);
  }
  EXPECT_EQ(audited("secret")["action"], "deny");
}

TEST_F(SecretsTest, NoOtherSecretPassesBesideAPlaceholder) {
  const std::string known = "Deploy.Key-0123456789-abcdef", token = scan::filled("ghp_<alnum 36>", 7);
  config_["known"] = json::array({{{"name", "deploy"}, {"value", known}}});
  auto db = origin("db.test"), model = origin("model.test");
  start();
  const std::string own = kPlaceholder, p = kOtherPlaceholder;
  auto sent = [&](const std::string& host, const std::string& credentials) {
    return ask(host, "GET / HTTP/1.1\r\nHost: " + host + "\r\nAuthorization: " + credentials + "\r\n\r\n");
  };
  auto refuses = [&](const std::string& host, const std::string& credentials) {
    EXPECT_NE(sent(host, credentials).find("Deny: secret\r\n"), std::string::npos) << credentials;
  };
  auto refuses_beside = [&](const std::string& other) {
    refuses("db.test", "Bearer " + p + " " + other);
    refuses("db.test", "Bearer " + other + p);
    refuses("db.test", "Basic " + base64("me:" + p + other));
    refuses("db.test", "Basic " + base64(p + ":" + other));
    refuses("db.test", "Bearer " + p + p + "," + base64(other));
    refuses("model.test", "Bearer " + own + " " + other);
  };
  for (const std::string& other : {known, token, to_hex(known)}) refuses_beside(other);
  // What looks like a credential may be the public name of the key here. A known secret cannot be such a name.
  for (const std::string& other : {known, to_hex(known), base64(token)}) {
    refuses("db.test", "Basic " + base64(other + ":" + p));
    refuses("db.test", "OAuth oauth_consumer_key=\"" + other + "\", oauth_token=\"" + p + "\"");
  }
  refuses("db.test", "Bearer " + known.substr(0, 14) + p + known.substr(14));
  EXPECT_EQ(db->last(), "");
  // Usual credentials pass each time and without a note.
  count_audited("");
  for (int i = 0; i < 3; ++i)
    for (const std::string& credentials : {"Bearer " + p, "Basic " + base64("x-access-token:" + p),
                                           "Basic " + base64(p + ":x-oauth-basic"), "token " + p})
      EXPECT_TRUE(sent("db.test", credentials).ends_with("fine")) << credentials;
  EXPECT_EQ(count_audited("possible_secret"), 0);
}

// Such names are public, and services require them beside the secret.
TEST_F(SecretsTest, TheNameOfAKeyPassesBesideItsPlaceholder) {
  auto db = origin("db.test");
  start();
  const std::string p = kOtherPlaceholder;
  count_audited("");
  for (const std::string& credentials :
       {"Basic " + base64(scan::filled("SK<hex 32>", 7) + ":" + p),
        "Basic " + base64(scan::filled("rzp_live_<alnum 14>", 7) + ":" + p),
        scan::filled("OAuth oauth_consumer_key=\"<alnum 25>\", oauth_nonce=\"<alnum 32>\", "
                     "oauth_signature_method=\"PLAINTEXT\", oauth_timestamp=\"1767225600\", oauth_token=\"",
                     7) +
            p + "\""}) {
    std::string answer =
        ask("db.test", "GET / HTTP/1.1\r\nHost: db.test\r\nAuthorization: " + credentials + "\r\n\r\n");
    EXPECT_TRUE(answer.ends_with("fine")) << credentials << "\n" << answer;
  }
  EXPECT_GE(count_audited("possible_secret"), 2);
}

TEST_F(SecretsTest, NoSecretPassesInTheNameOfAHeaderThatPresentsCredentials) {
  config_["known"] = json::array({{{"name", "short"}, {"value", "kQ7w-Zt58vRm"}}});
  auto sink = origin("sink.test");
  start();
  for (const char* end : {"-Api-Key", "-Access-Token", "-Authorization", "_secret_key"})
    EXPECT_NE(ask("sink.test", "GET / HTTP/1.1\r\nHost: sink.test\r\nkQ7w-Zt58vRm" + std::string(end) + ": x\r\n\r\n")
                  .find("Deny: secret\r\n"),
              std::string::npos)
        << end;
  for (const char* name : {"X-Goog-Api-Key", "DD-API-KEY", "Authorization", "X-Client-Secret"})
    EXPECT_TRUE(
        ask("sink.test", "GET / HTTP/1.1\r\nHost: sink.test\r\n" + std::string(name) + ": x\r\n\r\n").ends_with("fine"))
        << name;
}

TEST_F(SecretsTest, ASecretWithItsOwnHeaderIsInsertedThere) {
  config_["secrets"][1]["header"] = "X-Key: v={};";
  auto db = origin("db.test");
  start();
  std::string value = kOther, placeholder = kOtherPlaceholder;
  EXPECT_TRUE(
      ask("db.test", "GET / HTTP/1.1\r\nHost: db.test\r\nx-key: " + placeholder + "\r\n\r\n").ends_with("fine"));
  EXPECT_NE(db->last().find("X-Key: v=" + value + ";\r\n"), std::string::npos) << db->last();
  EXPECT_TRUE(ask("db.test", "GET / HTTP/1.1\r\nHost: db.test\r\nx_key: of-the-agent\r\n\r\n").ends_with("fine"));
  EXPECT_EQ(db->last().find("of-the-agent"), std::string::npos) << "a gateway reads both as the same: " << db->last();
  EXPECT_NE(ask("db.test", "GET / HTTP/1.1\r\nHost: db.test\r\nX-Other: " + placeholder + "\r\n\r\n")
                .find("X-Bottle-Deny: secret\r\n"),
            std::string::npos);
}

TEST_F(SecretsTest, OfNestedPlaceholdersTheLongerOneCounts) {
  config_["secrets"][0]["placeholder"] = std::string(kOtherPlaceholder).substr(0, 16);
  auto db = origin("db.test");
  start();
  EXPECT_TRUE(ask("db.test", "GET / HTTP/1.1\r\nHost: db.test\r\nAuthorization: Bearer " +
                                 std::string(kOtherPlaceholder) + "\r\n\r\n")
                  .ends_with("fine"));
  EXPECT_NE(db->last().find("Bearer " + std::string(kOther) + "\r\n"), std::string::npos) << db->last();
}

TEST_F(SecretsTest, APlaceholderInQueryPathOrBodyIsRefused) {
  auto db = origin("db.test");
  start();
  std::string p = kOtherPlaceholder;
  for (const std::string& request :
       {"GET /?key=" + p + " HTTP/1.1\r\nHost: db.test\r\n\r\n",
        "GET /bot" + p + "/send HTTP/1.1\r\nHost: db.test\r\n\r\n",
        std::string("GET /?key=placeholder%2Dof%2ddb-0123 HTTP/1.1\r\nHost: db.test\r\n\r\n"),
        post("db.test", "{\"secret\":\"" + p + "\"}"),
        post("db.test", "{\"secret\":\"placeholder\\u002dof-db-0123\"}")}) {
    EXPECT_NE(ask("db.test", request).find("X-Bottle-Deny: secret\r\n"), std::string::npos) << request;
    EXPECT_EQ(db->last(), "") << request;
  }
}

TEST_F(SecretsTest, AValueIsInsertedIntoTheQueryOnRequest) {
  config_["secrets"][1]["in"] = {"query"};
  auto db = origin("db.test");
  start();
  std::string p = kOtherPlaceholder;
  EXPECT_TRUE(ask("db.test", "GET /a?key=" + p + "&b=placeholder%2Dof-db-0123 HTTP/1.1\r\nHost: db.test\r\n\r\n")
                  .ends_with("fine"));
  std::string written = "db-value-with-%22quote%22%2Fand%2Bmore";
  EXPECT_TRUE(db->last().starts_with("GET /a?key=" + written + "&b=" + written + " HTTP/1.1\r\n")) << db->last();
  for (const std::string& request :
       {"GET /" + p + "?a HTTP/1.1\r\nHost: db.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: db.test\r\nAuthorization: Bearer " + p + "\r\n\r\n", post("db.test", p)})
    EXPECT_NE(ask("db.test", request).find("X-Bottle-Deny: secret\r\n"), std::string::npos) << request;
}

TEST_F(SecretsTest, AValueIsInsertedIntoTheBodyOnRequest) {
  config_["secrets"][1]["in"] = {"header", "body"};
  auto db = origin("db.test");
  start();
  std::string value = kOther, p = kOtherPlaceholder;
  struct Case {
    std::string type, sent, arrives;
  };
  std::string big(400'000, 'x');
  for (const Case& each :
       {Case{"application/json; charset=utf-8", "{\"a\":\"" + p + "\",\"b\":\"placeholder\\u002dof-db-0123\"}",
             json{{"a", value}, {"b", value}}.dump()},
        Case{"application/x-www-form-urlencoded", "a=" + p + "&b=1", "a=db-value-with-%22quote%22%2Fand%2Bmore&b=1"},
        Case{"text/plain", p + p, value + value}, Case{"text/plain", "nothing", "nothing"},
        Case{"text/plain", big + p + big, big + value + big}})
    for (bool chunked : {false, true}) {
      TestPeer wire = secure("db.test");
      ASSERT_TRUE(wire.ssl);
      wire.write("POST /token HTTP/1.1\r\nHost: db.test\r\nContent-Type: " + each.type + "\r\n" +
                 (chunked ? "Transfer-Encoding: chunked" : "Content-Length: " + std::to_string(each.sent.size())) +
                 "\r\n\r\n");
      size_t piece = each.sent.size() > 1000 ? 50'003 : 5;
      for (size_t at = 0; at < each.sent.size(); at += piece) {
        std::string part = each.sent.substr(at, piece);
        char size[20];
        snprintf(size, sizeof size, "%zx\r\n", part.size());
        EXPECT_TRUE(wire.write(chunked ? size + part + "\r\n" : part));
      }
      if (chunked) wire.write("0\r\n\r\n");
      EXPECT_TRUE(wire.message().ends_with("fine")) << each.type;
      EXPECT_EQ(body_of(db->last()), each.arrives) << each.type << chunked;
      bool long_one = each.sent.size() > 1000;
      EXPECT_EQ(db->last().find("Content-Length: ") == std::string::npos, chunked || long_one)
          << "small bodies keep a length";
    }
}

TEST_F(SecretsTest, TheGuardCollectsABodyWhoseLengthItMustKnow) {
  config_["secrets"][1]["in"] = {"body"};
  auto db = origin("db.test");
  start();
  TestPeer wire = secure("db.test");
  ASSERT_TRUE(wire.ssl);
  std::string p = kOtherPlaceholder;
  wire.write("POST / HTTP/1.1\r\nHost: db.test\r\nExpect: 100-continue\r\nContent-Length: " + std::to_string(p.size()) +
             "\r\n\r\n");
  EXPECT_EQ(wire.message(), "HTTP/1.1 100 Continue\r\n\r\n");
  wire.write(p);
  EXPECT_TRUE(wire.message().ends_with("fine"));
  EXPECT_EQ(body_of(db->last()), kOther);
  EXPECT_EQ(db->last().find("Expect"), std::string::npos);
  // A body that would grow without limit is refused, and so is one with a secret for another host.
  std::string many;
  for (int i = 0; i < 101; ++i) many += p;
  EXPECT_NE(ask("db.test", post("db.test", many)).find("X-Bottle-Deny: secret\r\n"), std::string::npos);
  EXPECT_NE(ask("db.test", post("db.test", p + kPlaceholder)).find("X-Bottle-Deny: secret\r\n"), std::string::npos);
  EXPECT_EQ(body_of(db->last()), kOther) << "nothing of those went out";
}

TEST_F(SecretsTest, TheAgentsCredentialsAreNotSentTogetherWithTheOperators) {
  // In CVE-2026-105452, a host uses the other credential and stores the content in the account of its owner.
  config_["secrets"][1]["header"] = "X-Service: {}";
  config_["secrets"].push_back({{"name", "two"},
                                {"value", "second-value-0123456789"},
                                {"placeholder", "second-placeholder-0123"},
                                {"hosts", json::array({"db.test"})}});
  auto db = origin("db.test");
  start();
  std::string theirs = "attackers-own-key-0123456789";
  for (std::string name : {"Authorization", "X-Api-Key", "x_api_key", "api-key", "Cookie", "Private-Token",
                           "X-Auth-Token", "X-Goog-Api-Key", "DD-API-KEY", "X-Amz-Security-Token",
                           "X-Forwarded-Access-Token", "Access-Token", "Circle-Token", "X-Webauth-User"}) {
    EXPECT_TRUE(
        ask("db.test", "GET / HTTP/1.1\r\nHost: db.test\r\nX-Csrf-Token: 1\r\n" + name + ": " + theirs + "\r\n\r\n")
            .ends_with("fine"));
    EXPECT_EQ(db->last().find(theirs), std::string::npos) << db->last();
    EXPECT_NE(db->last().find("X-Service: " + std::string(kOther) + "\r\n"), std::string::npos) << db->last();
    EXPECT_NE(db->last().find("X-Csrf-Token: 1\r\n"), std::string::npos) << "it says nothing of who asks";
    json line;
    while ((line = next_line())["type"] == "audit" && line.value("path", "").empty()) {
    }
    EXPECT_NE(line.value("reason", "").find("removed " + name), std::string::npos) << line;
  }
  // The operator can allow some credentials, for example for a site behind a proxy that asks for its own.
  config_["secrets"][1]["beside"] = {"Cookie"};
  ASSERT_EQ(configure()["type"], "ready");
  EXPECT_TRUE(
      ask("db.test", "GET / HTTP/1.1\r\nHost: db.test\r\ncookie: a=b\r\nX-Api-Key: x\r\n\r\n").ends_with("fine"));
  EXPECT_NE(db->last().find("cookie: a=b\r\n"), std::string::npos) << db->last();
  EXPECT_EQ(db->last().find("X-Api-Key"), std::string::npos) << db->last();
  // Two of the operator's credentials may go together, wherever the guard inserts them.
  EXPECT_TRUE(ask("db.test", "GET / HTTP/1.1\r\nHost: db.test\r\nAuthorization: Basic " +
                                 base64("me:second-placeholder-0123") + "\r\n\r\n")
                  .ends_with("fine"));
  EXPECT_NE(db->last().find(base64("me:second-value-0123456789")), std::string::npos) << db->last();
}

TEST_F(SecretsTest, NoValueIsInsertedIntoABodyBesideTheAgentsCredentials) {
  config_["secrets"][1]["in"] = {"body"};
  auto db = origin("db.test");
  start();
  const std::string p = kOtherPlaceholder, own = "Authorization: Bearer agents-own-key-0123456789\r\n";
  // While the body is collected, nothing leaves. A longer body leaves as it comes, up to the placeholder.
  for (const std::string& body : {p, std::string(400'000, 'x') + p})
    for (const std::string& header : {own, std::string("Cookie: a=b\r\n")}) {
      EXPECT_NE(ask("db.test", post("db.test", body, header)).find("X-Bottle-Deny: secret\r\n"), std::string::npos);
      EXPECT_EQ(db->last().find("db-value"), std::string::npos);
      std::string reason = audited("secret").value("reason", "");
      EXPECT_NE(reason.find("beside: [" + header.substr(0, header.find(':')) + "]"), std::string::npos) << reason;
    }
  EXPECT_TRUE(ask("db.test", post("db.test", p)).ends_with("fine"));
  EXPECT_TRUE(ask("db.test", post("db.test", "nothing", own)).ends_with("fine")) << "without a value";
  EXPECT_NE(db->last().find(own), std::string::npos) << db->last();
  config_["secrets"][1]["beside"] = {"cookie"};
  ASSERT_EQ(configure()["type"], "ready");
  EXPECT_TRUE(ask("db.test", post("db.test", p, "Cookie: a=b\r\n")).ends_with("fine"));
  EXPECT_TRUE(body_of(db->last()).starts_with("db-value")) << db->last();
}

TEST_F(SecretsTest, TheAgentsOwnCredentialsAloneReachHostsOtherThanTheModel) {
  // A sign-in with a secret has returned a session cookie or a token.
  auto db = origin("db.test"), model = origin("model.test");
  start();
  std::string theirs = "Bearer attackers-own-key-0123456789";
  auto sent = [&](const std::string& host) {
    return ask(host, "GET / HTTP/1.1\r\nHost: " + host + "\r\nAuthorization: " + theirs + "\r\n\r\n");
  };
  EXPECT_TRUE(sent("db.test").ends_with("fine"));
  EXPECT_NE(db->last().find(theirs), std::string::npos) << db->last();
  // Requests to the model carry the operator's credential or none. Otherwise, text that the agent has read could be
  // stored in another account.
  EXPECT_TRUE(sent("model.test").ends_with("fine"));
  EXPECT_EQ(model->last().find(theirs), std::string::npos) << model->last();
  EXPECT_TRUE(ask("model.test",
                  "POST / HTTP/1.1\r\nHost: model.test\r\nX-Api-Key: attackers-own-key\r\nAuthorization: Bearer " +
                      std::string(kPlaceholder) + "\r\nContent-Length: 0\r\n\r\n")
                  .ends_with("fine"));
  EXPECT_EQ(model->last().find("attackers"), std::string::npos) << model->last();
  EXPECT_NE(model->last().find("Bearer " + std::string(kValue)), std::string::npos) << model->last();
}

}  // namespace
}  // namespace bottle::guard
