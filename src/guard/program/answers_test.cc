// Checks that no answer brings a value back to the agent, in any form, place, coding or framing.
#include <future>

#include "base/text/base64.h"
#include "base/text/words.h"
#include "guard/program/secrets_test.h"
#include "scan/content/compress_test.h"

namespace bottle::guard {
namespace {

using scan::gzipped;

class AnswersTest : public SecretsTest {
 protected:
  std::string value_ = kOther;
  // Returns the forms in which a server could return a value that it was sent.
  std::vector<std::string> forms() const {
    std::string json_text = nlohmann::json(value_).dump(), percent, html;
    char buffer[8];
    for (unsigned char c : value_) {
      snprintf(buffer, sizeof buffer, "%%%02x", c);
      percent += buffer;
      html += c == '"' ? "&quot;" : std::string(1, static_cast<char>(c));
    }
    std::string escaped_slash = json_text.substr(1, json_text.size() - 2);
    escaped_slash.replace(escaped_slash.find('/'), 1, "\\/");
    std::string url = base64("me:" + value_ + "zz");
    for (char& c : url) c = c == '+' ? '-' : c == '/' ? '_' : c;
    return {value_,
            escaped_slash,
            percent,
            html,
            "db-value-with-%22quote%22%2Fand%2Bmore",
            base64(value_),
            base64("m:" + value_ + "zz"),
            base64("me:" + value_ + "z"),
            url};
  }
  // Returns what the agent gets when the server sends this answer. All answers come from one server, because
  // configuring the guard again takes longer than a request.
  std::string got(const std::string& answer) {
    answer_of_server_ = answer;
    if (!server_) {
      server_ = origin("db.test", [this](auto&) { return answer_of_server_; });
      start();
    }
    TestPeer wire = secure("db.test");
    if (!wire.ssl) return "no TLS";
    wire.write("GET / HTTP/1.1\r\nHost: db.test\r\nConnection: close\r\n\r\n");
    return wire.to_end();
  }
  std::string plain(const std::string& headers, const std::string& body) {
    return "HTTP/1.1 200 OK\r\n" + headers + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }

 private:
  std::string answer_of_server_;
  std::unique_ptr<Origin> server_;
};

TEST_F(AnswersTest, ContainNoFormOfAValueAnywhere) {
  for (const std::string& form : forms())
    for (const std::string& answer :
         {plain("X-Echo: " + form + "\r\n", "x"), "HTTP/1.1 200 " + form + "\r\nContent-Length: 0\r\n\r\n",
          "HTTP/1.1 103 Early Hints\r\nLink: <" + form + ">\r\n\r\n" + ok("x"),
          "HTTP/1.1 302 Found\r\nLocation: https://a.test/?" + form + "\r\nContent-Length: 0\r\n\r\n",
          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nX: " + form + "\r\n\r\n",
          plain("", "<" + form + ">"),
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + in_chunks("text text " + form, 3) + "0\r\n\r\n",
          "HTTP/1.0 200 OK\r\n\r\nuntil the end: " + form,
          plain("Content-Encoding: gzip\r\n", gzipped("{\"echo\":\"" + form + "\"}")),
          plain("Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n", gzipped(gzipped(form))),
          plain("Content-Encoding: identity, gzip\r\n", gzipped(form))}) {
      std::string seen = got(answer);
      // Neither the whole form nor the form without its ends may arrive.
      EXPECT_EQ(seen.find(form.substr(2, form.size() - 6)), seen.npos) << answer.substr(0, 300);
      EXPECT_EQ(audited("secret_in_answer")["action"], "deny") << answer.substr(0, 300);
    }
}

// The setting is about requests. An operator who lets the agent post to a host does not let the host tell it a value.
TEST_F(AnswersTest, ContainNoValueWhateverOnSecretSays) {
  EXPECT_TRUE(got(ok("x")).ends_with("x"));
  json usual = config_["egress"];
  for (const char* what : {"redact", "warn"})
    for (const char* scope : {"all", "host", "secret"}) {
      json& egress = config_["egress"] = usual;
      if (scope == std::string("all")) egress["on_secret"] = what;
      if (scope == std::string("host")) egress["allow"][0]["on_secret"] = what;
      if (scope == std::string("secret")) egress["on_secret_for"] = {{"db", what}};
      ASSERT_EQ(configure()["type"], "ready");
      for (const std::string& answer :
           {plain("", "v=" + value_), plain("X-Echo: " + value_ + "\r\n", "x"),
            plain("Content-Encoding: gzip\r\n", gzipped("v=" + value_)),
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Echo: " + value_ + "\r\n\r\n"}) {
        std::string seen = got(answer);
        EXPECT_EQ(seen.find("db-value"), seen.npos) << what << " for " << scope << ": " << seen;
        json line = audited("secret_in_answer");
        EXPECT_EQ(line["action"], "deny") << what << " for " << scope << ": " << seen;
        EXPECT_EQ(line.value("secret", ""), "db") << what << " for " << scope << ": " << seen;
      }
      EXPECT_NE(got(plain("Content-Encoding: lzma\r\n", "xx")).find("X-Bottle-Error: encoded_answer"),
                std::string::npos)
          << what << " for " << scope;
    }
}

// The agent has the value, and quotes it to its model and in files that it edits.
TEST_F(AnswersTest, MayContainTheValueOfAnExposedSecret) {
  config_["secrets"][1]["exposed"] = true;
  config_["secrets"].push_back({{"name", "again"}, {"value", kOther}, {"placeholder", "placeholder-of-again"}});
  EXPECT_TRUE(got(plain("X-Echo: " + value_ + "\r\n", "v=" + value_)).ends_with("v=" + value_));
  EXPECT_TRUE(got(plain("", base64(value_))).ends_with(base64(value_)));
  // This secret is not exposed.
  EXPECT_EQ(got(plain("", "v=" + std::string(kValue))).find(kValue), std::string::npos);
  EXPECT_EQ(audited("secret_in_answer")["action"], "deny");
}

TEST_F(AnswersTest, KeepTrailersButNoChunkExtensionsAndNoValues) {
  std::string begin =
      "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n4;x=" + value_ + "\r\nbody\r\n0\r\n";
  std::string seen = got(begin + "X-Sum: 1\r\nContent-Length: 9\r\nSet-Cookie: a\r\nno header\r\n\r\n");
  EXPECT_TRUE(seen.ends_with("\r\n\r\n4\r\nbody\r\n0\r\nX-Sum: 1\r\n\r\n")) << seen;
  EXPECT_NE(seen.find("\r\nTrailer: X-Sum\r\n"), seen.npos) << seen;
  EXPECT_EQ(seen.find("db-value"), seen.npos);
  seen = got(begin + "X-Echo: " + value_ + "\r\n\r\n");
  EXPECT_EQ(seen.find("db-value"), seen.npos);
  EXPECT_FALSE(seen.ends_with("0\r\n\r\n")) << "an answer cut short must not look whole";
  EXPECT_EQ(audited("secret_in_answer")["action"], "deny");
}

TEST_F(AnswersTest, AreDecodedOrRefused) {
  std::string text = "a text that is not secret, a text that is not secret";
  std::string seen = got(plain("Content-Encoding: gzip\r\nETag: \"a\"\r\nX-Kept: 1\r\n", gzipped(text)));
  EXPECT_EQ(body_of(seen), text);
  EXPECT_EQ(seen.find("Content-Encoding"), seen.npos) << seen;
  EXPECT_EQ(seen.find("ETag"), seen.npos) << seen;
  EXPECT_NE(seen.find("X-Kept: 1\r\n"), seen.npos) << seen;
  std::string chunked = "HTTP/1.1 200 OK\r\nContent-Encoding: x-gzip\r\nTransfer-Encoding: chunked\r\n\r\n" +
                        in_chunks(gzipped(text), 7) + "0\r\n\r\n";
  EXPECT_EQ(body_of(got(chunked)), text);
  std::string long_text(3'000'000, 'x');
  EXPECT_EQ(body_of(got(plain("Content-Encoding: gzip\r\n", gzipped(long_text)))), long_text);
  for (const std::string& coding : {"lzma", "gzip, lzma", "compress"})
    EXPECT_NE(got(plain("Content-Encoding: " + coding + "\r\n", "xx")).find("X-Bottle-Error: encoded_answer"),
              std::string::npos)
        << coding;
  EXPECT_NE(got("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 5-6/9\r\nContent-Encoding: "
                "gzip\r\nContent-Length: 2\r\n\r\nxx")
                .find("encoded_answer"),
            std::string::npos);
  // A truncated or broken answer must not look complete.
  EXPECT_EQ(got(plain("Content-Encoding: gzip\r\n", gzipped(text).substr(0, 30))).find("0\r\n\r\n"), std::string::npos);
  EXPECT_NE(got(plain("Content-Encoding: gzip\r\n", "not gzip at all")).find("bad_answer"), std::string::npos);
}

TEST_F(AnswersTest, ThatAreCutOffContainNoValueEither) {
  // In CVE-2026-101998, the same read returns bytes and an error, and the bytes pass without a mask.
  std::string coded = gzipped("text " + value_ + " text"),
              chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n";
  std::string bad_sum = coded;
  bad_sum[coded.size() - 6] = static_cast<char>(bad_sum[coded.size() - 6] ^ 1);
  char size[16];
  snprintf(size, sizeof size, "%zx\r\n", value_.size());
  std::string answer;
  bool reset = false;
  RawOrigin server(ca_.get(), "db.test", [&](TestPeer& wire, const std::string&) {
    wire.write(answer);
    linger at_once{1, 0};
    if (reset) setsockopt(wire.fd.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    if (reset) wire.close();
  });
  route("db.test", server.port);
  allow({{"host", "db.test"}, {"inspect", true}});
  start();
  for (const char* on_secret : {"block", "redact", "warn"}) {
    config_["egress"]["on_secret"] = on_secret;
    ASSERT_EQ(configure()["type"], "ready");
    for (const std::string& each :
         {"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + value_,
          chunked + "\r\n" + size + value_ + "\r\nno size\r\n", chunked + "\r\n" + size + value_ + "no end",
          chunked + "\r\nfff\r\n" + value_, chunked + "Content-Encoding: gzip\r\n\r\nfff\r\n" + coded,
          plain("Content-Encoding: gzip\r\n", bad_sum), plain("Content-Encoding: gzip\r\n", coded + "rest"),
          "HTTP/1.1 103 Early\r\nX: " + value_ + "\r\n\r\nno answer\r\n\r\n",
          "HTTP/1.1 200 OK\r\nX: " + value_ + "\r\nno header\r\n\r\n"})
      for (bool with_reset : {false, true}) {
        answer = each;
        reset = with_reset;
        std::string seen = ask("db.test", "GET / HTTP/1.1\r\nHost: db.test\r\nConnection: close\r\n\r\n");
        EXPECT_EQ(seen.find(value_.substr(2, value_.size() - 6)), seen.npos) << on_secret << each.substr(0, 300);
      }
  }
}

TEST_F(AnswersTest, ThatAreOnlyAPartContainNoPartOfAValue) {
  auto db = origin("db.test", [this](auto&) { return plain("", "v=" + value_.substr(0, value_.size() - 3)); });
  start();
  auto sent = [&](const std::string& method, const std::string& headers) {
    std::string answer = ask("db.test", method + " / HTTP/1.1\r\nHost: db.test\r\n" + headers + "X-Other: y\r\n\r\n");
    EXPECT_NE(db->last().find("X-Other: y\r\n"), std::string::npos);
    return answer;
  };
  const std::string range = "Range: bytes=0-9\r\nx-ms-range: bytes=0-9\r\n", empty = "Content-Length: 0\r\n";
  std::string answer = sent("GET", range + "If-Range: x\r\nRequest-Range: bytes=0-9\r\nX_MS_Range: bytes=0-9\r\n");
  EXPECT_EQ(answer.find(value_.substr(0, 8)), answer.npos) << answer;
  EXPECT_EQ(lower(db->last()).find("range"), std::string::npos) << "the server would send a part: " << db->last();
  json line;
  while ((line = next_line())["type"] == "audit" && line.value("path", "").empty()) {
  }
  EXPECT_NE(line.value("reason", "").find("removed Range, x-ms-range, If-Range"), std::string::npos) << line;
  for (const char* method : {"POST", "get"}) {
    sent(method, range + empty);
    EXPECT_EQ(lower(db->last()).find("range"), std::string::npos) << db->last();
  }
  // Such a request says which part of a file it writes.
  for (const char* method : {"PUT", "PATCH", "DELETE"}) {
    sent(method, range + empty);
    EXPECT_NE(db->last().find(range), std::string::npos) << db->last();
  }
  sent("PUT", range + empty + "X-HTTP-Method-Override: GET\r\n");
  EXPECT_EQ(lower(db->last()).find("range"), std::string::npos) << db->last();
}

TEST_F(AnswersTest, WithAFalseCodingPass) {
  std::string gzip = "Content-Encoding: gzip\r\n";
  EXPECT_TRUE(got("HTTP/1.1 304 Not Modified\r\n" + gzip + "ETag: \"x\"\r\n\r\n").starts_with("HTTP/1.1 304 "));
  EXPECT_TRUE(
      got("HTTP/1.1 302 Found\r\nLocation: /x\r\n" + gzip + "Content-Length: 0\r\n\r\n").starts_with("HTTP/1.1 302 "));
  EXPECT_TRUE(got(plain("Content-Encoding: aws-chunked\r\n", "ok")).ends_with("ok"));
  EXPECT_TRUE(got(plain("Content-Encoding:\r\n", "ok")).ends_with("ok"));
  EXPECT_EQ(body_of(got(plain(gzip, gzipped("") + std::string(22, '\0')))), "");
}

// A server that sends an empty line and then closes a kept connection has not answered.
TEST_F(GuardTest, AnEmptyLineBeforeTheEndIsNoAnswer) {
  std::atomic<int> connections = 0;
  RawOrigin origin(ca_.get(), "db.test", [&](TestPeer& wire, const std::string&) {
    wire.write(ok("done"));
    if (++connections > 1 || wire.head().empty()) return;
    wire.write("\r\n");
    ::shutdown(wire.fd.get(), SHUT_WR);
    wire.more();
  });
  route("db.test", origin.port);
  allow({{"host", "db.test"}, {"inspect", true}});
  start();
  TestPeer wire = secure("db.test");
  for (int i = 0; i < 2; ++i) {
    wire.write("GET / HTTP/1.1\r\nHost: db.test\r\n\r\n");
    EXPECT_TRUE(wire.message().ends_with("done")) << i;
  }
}

// The server may send that body later, and it must not become the answer to the next request.
TEST_F(GuardTest, AConnectionIsNotKeptAfterA204ThatAnnouncesABody) {
  std::string announced;
  RawOrigin origin(ca_.get(), "db.test", [&](TestPeer& wire, const std::string&) {
    do {
      wire.write("HTTP/1.1 204 No Content\r\n" + announced + "\r\n\r\n");
    } while (!wire.head().empty());
  });
  route("db.test", origin.port);
  allow({{"host", "db.test"}, {"inspect", true}});
  start();
  for (auto [line, connections] : std::vector<std::pair<std::string, int>>{
           {"Content-Length: 2", 2}, {"Transfer-Encoding: chunked", 2}, {"Content-Length: 0", 1}}) {
    announced = line;
    int before = origin.accepted;
    TestPeer wire = secure("db.test");
    for (int i = 0; i < 2; ++i) {
      wire.write("GET / HTTP/1.1\r\nHost: db.test\r\n\r\n");
      EXPECT_EQ(wire.message(), "HTTP/1.1 204 No Content\r\n\r\n");
    }
    EXPECT_EQ(origin.accepted - before, connections) << line;
  }
}

}  // namespace
}  // namespace bottle::guard
