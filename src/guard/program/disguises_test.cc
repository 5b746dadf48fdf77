// Sends a known secret in every disguise that docs/guard.md promises to find, in every place of a request. The tables
// list what the guard must stop.
#include "base/ids.h"
#include "base/text/base64.h"
#include "guard/program/secrets_test.h"
#include "scan/content/compress_test.h"
#include "scan/rule_examples.h"

namespace bottle::guard {
namespace {

using Text = std::string;

Text lines(const Text& text, size_t width, std::string_view end) {
  Text out;
  for (size_t at = 0; at < text.size(); at += width) out.append(text, at, width).append(end);
  return out;
}

Text each_byte(const Text& text, const char* format) {
  Text out;
  char one[16];
  for (unsigned char c : text) {
    snprintf(one, sizeof one, format, c);
    out += one;
  }
  return out;
}

Text base32(const Text& text) {
  Text out;
  unsigned bits = 0, held = 0;
  for (unsigned char c : text) {
    held = held << 8 | c;
    for (bits += 8; bits >= 5; bits -= 5) out += "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[held >> (bits - 5) & 31];
  }
  if (bits) out += "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[held << (5 - bits) & 31];
  return out;
}

Text cased(Text text, bool upper) {
  for (char& c : text) c = static_cast<char>(upper ? toupper(c) : tolower(c));
  return text;
}

Text rot13(Text text) {
  for (char& c : text)
    if (isalpha(static_cast<unsigned char>(c))) c = static_cast<char>((c & 32) + 'A' + (((c & ~32) - 'A') + 13) % 26);
  return text;
}

Text wide(const Text& text, bool big_endian) {
  Text out;
  for (char c : text) out += big_endian ? Text{'\0', c} : Text{c, '\0'};
  return out;
}

Text url_alphabet(Text base64) {
  std::ranges::replace(base64, '+', '-');
  std::ranges::replace(base64, '/', '_');
  return base64.substr(0, base64.find('='));
}

// "say " + kFileValue + " and more of it", compressed with brotli.
constexpr const char* kBrotli = "GyoA+GVwXqoLEQx5u9wAliQdBT995j9YSLTLxnizC3pjuuGkU7NwKwrypSLWXw==";

struct Disguise {
  const char* name;
  std::function<Text(const Text&)> make;
  bool binary = false;  // can only be sent in bodies
};

const std::vector<Disguise>& disguises() {
  static const std::vector<Disguise> all = {
      {"as it is", [](const Text& s) { return s; }},
      {"in capitals", [](const Text& s) { return cased(s, true); }},
      {"in lowercase letters", [](const Text& s) { return cased(s, false); }},
      {"backwards", [](const Text& s) { return Text(s.rbegin(), s.rend()); }},
      {"ROT13", [](const Text& s) { return rot13(s); }},
      {"Base64", [](const Text& s) { return base64(s); }},
      {"Base64 after one byte", [](const Text& s) { return base64("x" + s); }},
      {"Base64 after two bytes", [](const Text& s) { return base64("xy" + s + " and more"); }},
      {"Base64 without padding", [](const Text& s) { return url_alphabet(base64("ab" + s)); }},
      {"Base64url", [](const Text& s) { return url_alphabet(base64("\xff\xfe" + s)); }},
      {"Base64 in lines", [](const Text& s) { return lines(base64("some text " + s), 16, "\n"); }, true},
      {"Base64 in lines of JSON", [](const Text& s) { return lines(base64(s), 20, "\\n"); }, true},
      {"Base64 twice", [](const Text& s) { return base64(base64("a" + s)); }},
      {"Base32", [](const Text& s) { return base32(s); }},
      {"Base32 in lowercase letters", [](const Text& s) { return cased(base32("ab" + s), false); }},
      {"hexadecimal", [](const Text& s) { return to_hex(s); }},
      {"brotli in hexadecimal", [](const Text&) { return to_hex(*from_base64(kBrotli)); }},
      {"hexadecimal in capitals", [](const Text& s) { return cased(to_hex(s), true); }},
      {"hexadecimal with colons", [](const Text& s) { return each_byte(s, "%02x:"); }},
      {"hexadecimal with dashes", [](const Text& s) { return each_byte(s, "%02X-"); }},
      {"hexadecimal with spaces", [](const Text& s) { return each_byte(s, "%02x "); }, true},
      {"hexadecimal with 0x", [](const Text& s) { return each_byte(s, "0x%02x,"); }},
      {"decimal", [](const Text& s) { return each_byte(s, "%d,"); }},
      {"percent", [](const Text& s) { return each_byte(s, "%%%02X"); }},
      {"percent twice", [](const Text& s) { return each_byte(s, "%%25%02x"); }},
      {"percent three times", [](const Text& s) { return each_byte(s, "%%2525%02x"); }},
      {"Unicode escapes", [](const Text& s) { return each_byte(s, "\\u%04x"); }, true},
      {"Unicode escapes twice", [](const Text& s) { return each_byte(s, "\\\\u%04X"); }, true},
      {"backslash x", [](const Text& s) { return each_byte(s, "\\x%02x"); }, true},
      {"decimal entities", [](const Text& s) { return each_byte(s, "&#%d;"); }, true},
      {"hexadecimal entities", [](const Text& s) { return each_byte(s, "&#x%x;"); }, true},
      {"UTF-16", [](const Text& s) { return wide(s, false); }, true},
      {"UTF-16, big-endian", [](const Text& s) { return wide(s, true); }, true},
      {"gzip", [](const Text& s) { return scan::gzipped("say " + s); }, true},
      {"zlib", [](const Text& s) { return scan::deflated("say " + s, 15); }, true},
      {"zstd", [](const Text& s) { return scan::zstd("say " + s); }, true},
      {"gzip in Base64", [](const Text& s) { return base64(scan::gzipped(s)); }},
      {"deflate in Base64", [](const Text& s) { return base64(scan::deflated("say " + s, -15)); }},
      {"brotli in Base64", [](const Text&) { return Text(kBrotli); }},
      {"zstd in hexadecimal", [](const Text& s) { return to_hex(scan::zstd(s)); }},
      {"Base64 in percent", [](const Text& s) { return each_byte(base64(s), "%%%02x"); }},
      {"hexadecimal in Base64", [](const Text& s) { return base64(to_hex(s)); }},
      {"five inside each other", [](const Text& s) { return base64(to_hex(base64(base32(base64(s))))); }},
  };
  return all;
}

struct PlaceOfRequest {
  const char* name;
  std::function<Text(const Text& disguised)> request;
  bool takes_binary = false;
};

Text request(const Text& body, const Text& headers = "") {
  return "POST http://sink.test/upload HTTP/1.1\r\nHost: sink.test\r\n" + headers +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

Text escaped(const Text& text) {
  Text out;
  for (unsigned char c : text)
    if (isalnum(c)) out += static_cast<char>(c);
    else out += each_byte(Text(1, static_cast<char>(c)), "%%%02X");
  return out;
}

Text get(const Text& target, const Text& headers = "") {
  return "GET http://sink.test" + target + " HTTP/1.1\r\nHost: sink.test\r\n" + headers + "\r\n";
}

Text multipart(const Text& file, const Text& content) {
  return request("--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"" + file + "\"\r\n\r\n" + content +
                     "\r\n--b--\r\n",
                 "Content-Type: multipart/form-data; boundary=b\r\n");
}

Text chunked(const Text& extension, const Text& trailers) {
  return "POST http://sink.test/ HTTP/1.1\r\nHost: sink.test\r\nTransfer-Encoding: chunked\r\n\r\n2" + extension +
         "\r\nhi\r\n0\r\n" + trailers + "\r\n";
}

const std::vector<PlaceOfRequest>& places() {
  constexpr const char* kForm = "Content-Type: application/x-www-form-urlencoded\r\n";
  constexpr const char* kJson = "Content-Type: application/json\r\n";
  static const std::vector<PlaceOfRequest> all = {
      {"path", [](const Text& s) { return get("/items/" + escaped(s) + "/view"); }},
      {"query", [](const Text& s) { return get("/items?page=1&q=" + escaped(s)); }},
      {"header", [](const Text& s) { return get("/", "X-Note: " + s + "\r\n"); }},
      {"user agent", [](const Text& s) { return get("/", "User-Agent: tool/1 (" + s + ")\r\n"); }},
      {"cookie", [](const Text& s) { return get("/", "Cookie: a=1; note=" + escaped(s) + "\r\n"); }},
      {"form", [](const Text& s) { return request("a=1&b=" + escaped(s) + "&c=2", kForm); }},
      {"JSON value", [](const Text& s) { return request("{\"a\":\"" + s + "\",\"b\":1}", kJson); }, true},
      {"JSON key", [](const Text& s) { return request("{\"" + s + "\":1,\"b\":1}", kJson); }, true},
      {"multipart part", [](const Text& s) { return multipart("a.txt", s); }, true},
      {"multipart file name", [](const Text& s) { return multipart(s, "x"); }},
      {"gRPC message",
       [](const Text& s) {
         Text size{'\0', '\0', '\0', static_cast<char>(s.size() >> 8), static_cast<char>(s.size())};
         return request(size + s, "Content-Type: application/grpc\r\n");
       },
       true},
      {"body in gzip", [](const Text& s) { return request(scan::gzipped(s), "Content-Encoding: gzip\r\n"); }, true},
      {"body in zstd", [](const Text& s) { return request(scan::zstd("{" + s), "Content-Encoding: zstd\r\n"); }, true},
      {"trailer", [](const Text& s) { return chunked("", "X-Note: " + s + "\r\n"); }},
  };
  return all;
}

class DisguisesTest : public SecretsTest {
 protected:
  // "file:KEY" is a value that the guard never puts into requests, such as one from a file of scan.secrets.
  static constexpr const char* kFileValue = "n3Vq8fLwZt0RkYp2XhJm7Qd4";

  void SetUp() override {
    SecretsTest::SetUp();
    config_["known"] = json::array({{{"name", "file:KEY"}, {"value", kFileValue}}});
    // Without TLS, because hundreds of requests end their connections.
    sink_ = std::make_unique<Origin>(nullptr, "", [](auto&) { return ok("fine"); });
    route("sink.test", sink_->port);
    allow({{"host", "sink.test"}, {"ports", {80}}});
    start();
  }
  // Returns whether the guard refuses the request because of a secret, and the sink does not receive the request.
  bool refused(const Text& request) {
    Text before = sink_->last(), answer = raw(request);
    said_ = answer.substr(0, 300);
    while (next_line(0)["type"] == "audit") {  // the guard waits until its audit is read
    }
    return answer.find("X-Bottle-Deny: secret\r\n") != Text::npos && sink_->last() == before;
  }
  std::unique_ptr<Origin> sink_;
  Text said_;  // the guard's last answer
};

TEST_F(DisguisesTest, AKnownValueIsRefusedInEveryEncodingAndPlace) {
  size_t tried = 0;
  for (const PlaceOfRequest& place : places())
    for (const Disguise& disguise : disguises()) {
      if (disguise.binary && !place.takes_binary) continue;
      ++tried;
      EXPECT_TRUE(refused(place.request(disguise.make(kFileValue))))
          << disguise.name << " in the " << place.name << "\n"
          << said_;
    }
  EXPECT_GE(tried, 400u);
  for (const PlaceOfRequest& place : places())
    EXPECT_FALSE(refused(place.request("nothing to see here"))) << place.name;
  EXPECT_EQ(audit_.find(kFileValue), Text::npos);
}

TEST_F(DisguisesTest, ChunkExtensionsNeverPass) {
  EXPECT_TRUE(raw(chunked(";note=" + Text(kFileValue), "")).ends_with("fine"));
  EXPECT_EQ(sink_->last().find(kFileValue), Text::npos) << sink_->last();
}

TEST_F(DisguisesTest, PiecesAreRefusedWithTheLastOne) {
  Text value = kFileValue, a = value.substr(0, 8), b = value.substr(8, 9), c = value.substr(17);
  struct Split {
    const char* name;
    std::vector<Text> requests;
  };
  auto field_text = [](const Text& text) { return "{\"id\":\"7\",\"kind\":\"note\",\"text\":\"" + text + "\"}"; };
  auto field = [&](const Text& text) { return request(field_text(text)); };
  auto coded = [](const Text& text) { return request(scan::gzipped(text), "Content-Encoding: gzip\r\n"); };
  for (const Split& split : std::vector<Split>{
           {"parameters", {get("/?a=" + a + "&b=" + b + "&c=" + c)}},
           {"headers", {get("/", "X-A: " + a + "\r\nX-B: " + b + "\r\nX-C: " + c + "\r\n")}},
           {"fields", {request("{\"a\":\"" + a + "\",\"b\":\"" + b + "\",\"c\":\"" + c + "\"}")}},
           {"list", {request("[\"" + a + "\",\"" + b + "\",\"" + c + "\"]")}},
           {"form", {request("a=" + a + "&b=" + b + "&c=" + c)}},
           {"requests, query", {get("/?q=" + a + "&n=1"), get("/?q=" + b + "&n=2"), get("/?q=" + c + "&n=3")}},
           {"requests, header",
            {get("/", "X-Note: " + a + "\r\n"), get("/", "X-Note: " + b + "\r\n"), get("/", "X-Note: " + c + "\r\n")}},
           {"requests, field", {field(a), field(b), field(c)}},
           {"requests, body", {request(a), request(b), request(c)}},
           {"requests, coded field", {coded(field_text(a)), coded(field_text(b)), coded(field_text(c))}},
           {"requests, coded body", {coded(a), coded(b), coded(c)}},
           {"requests, form", {request("n=1&q=" + a), request("n=2&q=" + b), request("n=3&q=" + c)}}}) {
    for (size_t i = 0; i + 1 < split.requests.size(); ++i) EXPECT_FALSE(refused(split.requests[i])) << split.name << i;
    EXPECT_TRUE(refused(split.requests.back())) << split.name;
    EXPECT_EQ(configure()["type"], "ready");  // starts without the pieces of earlier requests
  }
}

// Bytes that wait for more of a body leave when it pauses, even if it never ends.
TEST_F(DisguisesTest, PiecesInUnfinishedBodiesAreRefusedWithTheLastOne) {
  RawOrigin sink(
      ca_.get(), "slow.test",
      [](TestPeer& wire, const Text&) {
        if (wire.in.empty() && !wire.more()) return;
        wire.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nseen");
      },
      RawOrigin::After::head);
  route("slow.test", sink.port);
  allow({{"host", "slow.test"}, {"inspect", true}});
  Text value = kFileValue, a = value.substr(0, 8), b = value.substr(8, 8), c = value.substr(16);
  auto sent = [&](const Text& body, const Text& headers) {
    TestPeer wire = secure("slow.test");
    wire.write("POST / HTTP/1.1\r\nHost: slow.test\r\nContent-Length: 5000\r\n" + headers + "\r\n" + body);
    return wire.message();
  };
  auto check = [&](auto body, const Text& headers = "") {
    ASSERT_EQ(configure()["type"], "ready");  // starts without the pieces of earlier requests
    for (const Text& piece : {a, b}) EXPECT_TRUE(sent(body(piece), headers).ends_with("seen")) << body(piece);
    EXPECT_NE(sent(body(c), headers).find("X-Bottle-Deny: secret\r\n"), Text::npos) << body(c);
  };
  check([](const Text& text) { return "{\"a\":1,\"v\":\"" + text + "\"}"; });
  check([](const Text& text) { return "v=" + text + "&w="; });
  check([](const Text& text) { return text.substr(0, 2) + "=" + text; });
  check([](const Text& text) { return text.substr(0, 2) + "='" + text; });
  check([](const Text& text) { return text; });
  check([](const Text& text) { return "{\"v\":\"" + text; });
  check([](const Text& text) { return "note: " + text; });
  // The coding ends before the body does.
  check([](const Text& text) { return scan::gzipped("{\"v\":\"" + text + "\"}"); }, "Content-Encoding: gzip\r\n");
}

TEST_F(DisguisesTest, PiecesInUnfinishedMessagesAreRefusedWithTheLastOne) {
  RawOrigin sink(ca_.get(), "ws.test", [](TestPeer& wire, const Text&) {
    wire.write("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
    if (!wire.in.empty() || wire.more()) wire.write(frame(WebSocketSender::server, 1, true, "seen"));
  });
  route("ws.test", sink.port);
  allow({{"host", "ws.test"}, {"inspect", true}});
  ASSERT_EQ(configure()["type"], "ready");
  auto seen = [&](const Text& message) {
    TestPeer wire = secure("ws.test");
    wire.write("GET / HTTP/1.1\r\nHost: ws.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    EXPECT_NE(wire.head().find(" 101 "), Text::npos);
    wire.write(frame(WebSocketSender::client, 1, false, message));
    return wire.to_end().find("seen") != Text::npos;
  };
  Text value = kFileValue;
  for (const auto& [before, after] : std::vector<std::pair<Text, Text>>{{"{\"v\":\"", "\"}"}, {"{\"v\":\"", ""}}) {
    ASSERT_EQ(configure()["type"], "ready");  // starts without the pieces of earlier messages
    EXPECT_TRUE(seen(before + value.substr(0, 8) + after));
    EXPECT_TRUE(seen(before + value.substr(8, 8) + after));
    EXPECT_FALSE(seen(before + value.substr(16) + after)) << before << after;
  }
}

TEST_F(SecretsTest, ACodedBodyAsAWholeMayBeAPieceOfASecret) {
  // Streams of Brotli that store eight bytes as they are.
  auto stored = [](const Text& text) { return Text("\x70\0\x10", 3) + text + "\x03"; };
  const Text first = stored("k7Qw5Zt8"), second = stored("v2Rm6Yp1");
  config_["known"] = json::array({{{"name", "pair"}, {"value", first + second}}});
  auto sink = origin("sink.test");
  start();
  EXPECT_TRUE(ask("sink.test", post("sink.test", first, "Content-Encoding: br\r\n")).ends_with("fine"));
  EXPECT_NE(ask("sink.test", post("sink.test", second, "Content-Encoding: br\r\n")).find("X-Bottle-Deny: secret\r\n"),
            Text::npos);
}

TEST_F(DisguisesTest, OfACodedBodyThatIsRefusedAtItsEndNothingLeaves) {
  std::atomic<int> heads = 0;
  RawOrigin sink(
      ca_.get(), "coded.test",
      [&](TestPeer& wire, const Text& head) {
        ++heads;
        size_t size = std::stoul(head.substr(head.find("Content-Length: ") + 16));
        while (wire.in.size() < size && wire.more()) {
        }
        wire.write("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nfine");
      },
      RawOrigin::After::head);
  route("coded.test", sink.port);
  allow({{"host", "coded.test"}, {"inspect", true}});
  ASSERT_EQ(configure()["type"], "ready");
  // Some programs ignore a coding, so the piece is in the coded bytes and not in the decoded ones.
  auto coded = [&](const Text& piece) {
    return ask("coded.test",
               post("coded.test", scan::gzipped("text", "&q=" + piece + "&n="), "Content-Encoding: gzip\r\n"));
  };
  Text value = kFileValue;
  EXPECT_TRUE(coded(value.substr(0, 8)).ends_with("fine"));
  EXPECT_TRUE(coded(value.substr(8, 9)).ends_with("fine"));
  Text last = coded(value.substr(17));
  EXPECT_NE(last.find("X-Bottle-Deny: secret"), Text::npos) << last;
  EXPECT_TRUE(coded("nothing").ends_with("fine"));
  EXPECT_EQ(heads, 3) << "one connection is served after the other";
}

TEST_F(SecretsTest, OnlyTheKeyOfAWebSocketIsNoPieceOfASecret) {
  const std::string key = base64("0123456789abcdef"), other = base64("fedcba9876543210");
  const std::string first = "deploy-key-9f4d2c7b1a-x3", second = "k7Qw5Zt8-v2Rm6Yp1-Ls4Hd9";
  config_["known"] =
      json::array({{{"name", "deploy"}, {"value", first + second}}, {{"name", "pair"}, {"value", key + other}}});
  auto sink = origin("sink.test");
  start();
  const std::string name = "Sec-WebSocket-Key: ", line = "\r\n" + name;
  const std::string upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
  auto refused = [&](const std::string& headers, const std::string& method = "GET") {
    std::string answer = ask("sink.test", method + " / HTTP/1.1\r\nHost: sink.test\r\n" + headers + "\r\n\r\n");
    return answer.find("X-Bottle-Deny: secret\r\n") != answer.npos;
  };
  for (const std::string& before : {std::string(), upgrade}) {
    EXPECT_FALSE(refused(before + name + first));
    EXPECT_TRUE(refused(before + name + second)) << before << "not Base64";
    ASSERT_EQ(configure()["type"], "ready");  // starts without the pieces of earlier requests
  }
  EXPECT_FALSE(refused(name + key));
  EXPECT_TRUE(refused(name + other)) << "the request does not upgrade";
  ASSERT_EQ(configure()["type"], "ready");
  EXPECT_FALSE(refused(upgrade + name + key, "POST"));
  EXPECT_TRUE(refused(upgrade + name + other, "POST")) << "no WebSocket begins with a POST";
  ASSERT_EQ(configure()["type"], "ready");
  EXPECT_TRUE(refused(upgrade + name + key + line + other)) << "there are two keys";
  ASSERT_EQ(configure()["type"], "ready");
  EXPECT_FALSE(refused(upgrade + name + key));
  EXPECT_FALSE(refused(upgrade + name + other));
}

TEST_F(SecretsTest, PiecesInHeadersOfBrowsersAreJoined) {
  auto sink = origin("sink.test");
  start();
  const std::string value = kOther, first = value.substr(0, 15), second = value.substr(15);
  auto sent = [&](const std::string& headers) {
    return ask("sink.test", "GET / HTTP/1.1\r\nHost: sink.test\r\n" + headers + "\r\n");
  };
  auto refused = [](const std::string& answer) { return answer.find("X-Bottle-Deny: secret\r\n") != answer.npos; };
  EXPECT_TRUE(refused(sent("User-Agent: " + first + "\r\nReferer: " + second + "\r\n")));
  EXPECT_TRUE(sent("Sec-Data: " + first + "\r\n").ends_with("fine"));
  EXPECT_TRUE(refused(sent("Sec-Data: " + second + "\r\n")));
  for (int i = 0; i < 3; ++i)
    EXPECT_TRUE(sent("User-Agent: curl/8.5.0\r\nAccept: */*\r\nSec-Fetch-Mode: cors\r\n").ends_with("fine"));
  // The words of the protocol would complete a token of Replicate.
  EXPECT_TRUE(sent("Sec-Data: " + scan::filled("r8_<alnum 28>", 7) + "\r\n").ends_with("fine"));
  EXPECT_FALSE(refused(sent("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n")));
  std::string trailers = "0\r\nSec-T0: " + first + "\r\nSec-T1: " + second + "\r\n\r\n";
  EXPECT_TRUE(refused(ask("sink.test",
                          "POST / HTTP/1.1\r\nHost: sink.test\r\nTrailer: Sec-T0, Sec-T1\r\nTransfer-Encoding: "
                          "chunked\r\n\r\n" +
                              trailers)));
}

}  // namespace
}  // namespace bottle::guard
