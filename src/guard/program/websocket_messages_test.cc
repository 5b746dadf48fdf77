// Tests the messages of WebSocket connections in both directions.
#include <future>

#include "guard/program/secrets_test.h"
#include "scan/rule_examples.h"

namespace bottle::guard {
namespace {

// Reads messages as they arrive.
class MessageText {
 public:
  explicit MessageText(WebSocketSender sender) : reader_(sender, false) {}

  void feed(std::string_view bytes) {
    rest_ += bytes;
    std::string_view left = rest_;
    for (WebSocketReader::Step step; why_.empty() && (step = reader_.next(left, payload_)) != Step::more;) {
      if (step == Step::bad) why_ = "bad: " + std::string(reader_.why());
      if (step == Step::frame && reader_.frame().opcode) payload_ += std::to_string(reader_.frame().opcode) + ":";
      if (reader_.message_done()) all_ += std::exchange(payload_, {}) + " ";
    }
    rest_.erase(0, rest_.size() - left.size());
  }
  // Returns the payloads of all messages, each after its opcode.
  std::string text() const { return why_.empty() ? all_ + payload_ : all_ + why_; }

 private:
  using Step = WebSocketReader::Step;

  WebSocketReader reader_;
  std::string rest_, all_, payload_, why_;
};

std::string messages(WebSocketSender sender, std::string_view bytes) {
  MessageText read(sender);
  read.feed(bytes);
  return read.text();
}

class MessagesTest : public SecretsTest {
 protected:
  static constexpr auto kClient = WebSocketSender::client, kServer = WebSocketSender::server;
  static constexpr const char* kSwitch =
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";

  // Opens a WebSocket to `host`. The server sends `frames` and keeps what it receives.
  TestPeer open(const std::string& host, std::string frames, std::string headers = "") {
    server_ =
        std::make_unique<RawOrigin>(ca_.get(), host, [this, frames, headers](TestPeer& wire, const std::string& head) {
          head_ = head;
          wire.write(kSwitch + headers + "\r\n" + frames);
          while (wire.more()) {
            std::lock_guard lock(mutex_);
            received_.feed(std::exchange(wire.in, {}));
          }
        });
    route(host, server_->port);
    allow({{"host", host}, {"inspect", true}});
    start();
    TestPeer wire = secure(host);
    EXPECT_TRUE(wire.ssl);
    wire.write("GET /ws HTTP/1.1\r\nHost: " + host +
               "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n");
    while (wire.in.find("\r\n\r\n") == std::string::npos && wire.more()) {
    }
    answer_head_ = wire.in.substr(0, wire.in.find("\r\n\r\n") + 4);
    wire.in.erase(0, answer_head_.size());
    return wire;
  }
  std::string read_messages(TestPeer& wire, const std::string& until) {
    while (messages(kServer, wire.in).find(until) == std::string::npos && wire.more()) {
    }
    return messages(kServer, wire.in);
  }
  std::string received(const std::string& until) {
    std::string all;
    comes_true([&] {
      std::lock_guard lock(mutex_);
      all = received_.text();
      return all.find(until) != all.npos;
    });
    return all;
  }

  std::unique_ptr<RawOrigin> server_;
  std::mutex mutex_;
  MessageText received_{kClient};
  std::string head_, answer_head_;
};

TEST_F(MessagesTest, PassWithoutTheirExtensions) {
  TestPeer wire = open("db.test", frame(kServer, 1, true, "hello") + frame(kServer, 2, false, "in ") +
                                      frame(kServer, 9, true, "ping") + frame(kServer, 0, true, "two") +
                                      frame(kServer, 1, true, std::string(100'000, 'x')) + frame(kServer, 8, true, ""));
  EXPECT_TRUE(answer_head_.starts_with("HTTP/1.1 101 ")) << answer_head_;
  EXPECT_EQ(head_.find("Sec-WebSocket-Extensions"), std::string::npos);
  EXPECT_EQ(read_messages(wire, "8:"), "1:hello 9:ping 2:in two 1:" + std::string(100'000, 'x') + " 8: ");
  wire.write(frame(kClient, 1, false, "from the ") + frame(kClient, 0, true, "client") +
             frame(kClient, 10, true, "ping"));
  EXPECT_EQ(received("10:ping"), "1:from the client 10:ping ");
}

TEST_F(MessagesTest, ContainNoValue) {
  std::string value = kOther;
  TestPeer wire = open("db.test", frame(kServer, 1, true, "before") + frame(kServer, 1, false, value.substr(0, 7)) +
                                      frame(kServer, 9, true, "") + frame(kServer, 0, true, value.substr(7)) +
                                      frame(kServer, 1, true, "after"));
  std::string seen = read_messages(wire, "after");
  EXPECT_TRUE(seen.starts_with("1:before 9: ")) << seen;
  EXPECT_EQ(seen.find("db-"), seen.npos) << seen;
  EXPECT_EQ(seen.find("after"), seen.npos) << "the connection ends";
  EXPECT_EQ(audited("secret_in_answer")["action"], "deny");
}

TEST_F(MessagesTest, ContainNoValueInAPingOrSplitOverTwoMessages) {
  std::string value = kOther;
  TestPeer wire = open("db.test", frame(kServer, 9, true, value));
  EXPECT_EQ(read_messages(wire, "9:"), "");
  EXPECT_EQ(audited("secret_in_answer")["action"], "deny");
}

TEST_F(MessagesTest, CarryNoPlaceholderToItsHostOrAnother) {
  TestPeer wire = open("db.test", "");
  wire.write(frame(kClient, 1, true, "fine") + frame(kClient, 1, true, std::string("key=") + kOtherPlaceholder));
  EXPECT_EQ(wire.to_end(), "");
  EXPECT_EQ(audited("secret")["action"], "deny");
  EXPECT_TRUE(server_->wait_until_closed());
  EXPECT_EQ(received_.text(), "1:fine ");
}

TEST_F(MessagesTest, ToTheModelPassAndAreMarked) {
  TestPeer wire = open("model.test", "");
  wire.write(frame(kClient, 1, true, std::string("env ") + kOtherPlaceholder) +
             frame(kClient, 1, true, std::string("DB=") + kOther) + frame(kClient, 1, true, "end"));
  EXPECT_EQ(received("1:end"), std::string("1:env ") + kOtherPlaceholder + " 1:DB=[redacted: db]" +
                                   std::string(strlen(kOther) - 14, '*') + " 1:end ");
}

// A turn takes only so many messages, however short they are. The others pass even if the client has left.
TEST_F(MessagesTest, OfOneConnectionDoNotHoldUpAnother) {
  auto other = origin("other.test");
  TestPeer wire = open("db.test", ""), asks = secure("other.test");
  ASSERT_TRUE(asks.ssl);
  auto ask = [&] {
    asks.write("GET / HTTP/1.1\r\nHost: other.test\r\n\r\n");
    return asks.message();
  };
  EXPECT_TRUE(ask().ends_with("fine"));
  std::string flood, one = frame(kClient, 1, true, "x");
  for (int i = 0; i < 50'000; ++i) flood += one;
  wire.write(flood + frame(kClient, 1, true, "last"));
  EXPECT_TRUE(ask().ends_with("fine"));
  {
    std::lock_guard lock(mutex_);
    EXPECT_EQ(received_.text().find("last"), std::string::npos) << "all messages of the flood were passed on first";
  }
  SSL_shutdown(wire.ssl.get());
  wire.close();
  EXPECT_TRUE(received("last").ends_with("1:x 1:last "));
}

TEST_F(MessagesTest, PassUncompressedAsMessages) {
  TestPeer wire = open("db.test", frame(kServer, 1, true, "xx", true));
  EXPECT_EQ(wire.to_end(), "");
  EXPECT_EQ(audited("bad_answer")["action"], "close");
}

TEST_F(MessagesTest, OfAServerThatWantsAnExtensionAreRefused) {
  open("db.test", "", "Sec-WebSocket-Extensions: permessage-deflate\r\n");
  EXPECT_NE(answer_head_.find("X-Bottle-Error: bad_answer"), std::string::npos) << answer_head_;
}

TEST_F(MessagesTest, AndChunksThatEndLikeASecretDoNotWait) {
  // The chunk ends in the first byte of a value, and the end of the answer is sent only after the chunk has arrived.
  std::promise<void> arrived;
  std::atomic<bool> in_time = false;
  server_ = std::make_unique<RawOrigin>(
      ca_.get(), "db.test", [&, seen = arrived.get_future().share()](TestPeer& wire, auto&) {
        wire.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nd\r\n");
        in_time = seen.wait_for(std::chrono::milliseconds(kPatienceMs)) == std::future_status::ready;
        wire.write("0\r\n\r\n");
      });
  route("db.test", server_->port);
  allow({{"host", "db.test"}, {"inspect", true}});
  start();
  TestPeer wire = secure("db.test");
  wire.write("GET / HTTP/1.1\r\nHost: db.test\r\n\r\n");
  while (wire.in.find("\r\nd\r\n") == std::string::npos && wire.more()) {
  }
  EXPECT_EQ(wire.in.find("0\r\n\r\n"), std::string::npos);
  arrived.set_value();
  while (wire.in.find("0\r\n\r\n") == std::string::npos && wire.more()) {
  }
  EXPECT_TRUE(in_time) << "the chunk did not arrive before the end of the answer was sent";
}

// A page in a browser can sign in to a WebSocket with no other header.
TEST_F(MessagesTest, AreNotRequestedWithCredentialsOfBothAgentAndOperator) {
  config_["secrets"][1]["header"] = "X-Service: {}";
  auto db = origin("db.test"), model = origin("model.test"), other = origin("other.test");
  start();
  const std::string theirs = "openai-insecure-api-key.ek_mine";
  auto ask_for = [&](const std::string& host, const std::string& protocols) {
    EXPECT_TRUE(ask(host, "GET /ws HTTP/1.1\r\nHost: " + host +
                              "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: " + protocols +
                              "\r\n\r\n")
                    .ends_with("fine"));
  };
  for (const auto& [host, server] : {std::pair("db.test", db.get()), std::pair("model.test", model.get())}) {
    ask_for(host, "realtime, " + theirs + ", openai-beta.realtime-v1");
    EXPECT_NE(server->last().find("Sec-WebSocket-Protocol: realtime, openai-beta.realtime-v1\r\n"), std::string::npos)
        << server->last();
    json line;
    while ((line = next_line())["type"] == "audit" && line.value("path", "").empty()) {
    }
    EXPECT_NE(line.value("reason", "").find("removed Sec-WebSocket-Protocol"), std::string::npos) << line;
    ask_for(host, theirs);
    EXPECT_EQ(server->last().find("Sec-WebSocket-Protocol"), std::string::npos) << server->last();
    ask_for(host, "graphql-ws,  soap");
    EXPECT_NE(server->last().find("Sec-WebSocket-Protocol: graphql-ws,  soap\r\n"), std::string::npos)
        << server->last();
  }
  ask_for("other.test", theirs);
  EXPECT_NE(other->last().find(theirs), std::string::npos) << "no credential of the operator's goes there";
}

class WebSocketFindingsTest : public SecretsTest {
 protected:
  const std::string token = scan::filled("ghp_<alnum 36>", 7);  // a rule knows its form
  static constexpr auto kClient = WebSocketSender::client;
  // Returns what the server received when `frames` were sent, and then `slow` byte by byte, and the connection ended.
  std::string sent(const std::string& frames, const std::string& slow = "") {
    std::string payload;
    RawOrigin sink(ca_.get(), "ws.test", [&](TestPeer& wire, const std::string&) {
      wire.write("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n");
      WebSocketReader reader(WebSocketSender::client, false);
      do {
        std::string_view rest = wire.in;
        while (reader.next(rest, payload) != WebSocketReader::Step::more) {
        }
        wire.in.erase(0, wire.in.size() - rest.size());
      } while (reader.frame().opcode != WebSocketFrame::close && wire.more());
    });
    route("ws.test", sink.port);
    if (guard_) EXPECT_EQ(configure()["type"], "ready");
    else start();
    {
      TestPeer wire = secure("ws.test");
      EXPECT_TRUE(wire.ssl);
      if (!wire.ssl) return "no TLS";
      wire.write("GET / HTTP/1.1\r\nHost: ws.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
      EXPECT_NE(wire.head().find(" 101 "), std::string::npos);
      wire.write(frames);
      steady_ = trickle(wire, slow);
      wire.write(frame(kClient, WebSocketFrame::close, true, ""));
      wire.to_end();
    }
    return payload;
  }

  bool steady_ = false;
};

TEST_F(WebSocketFindingsTest, ASlowMessageWithoutPausesGetsWholeMarkers) {
  allow({{"host", "ws.test"}, {"inspect", true}, {"on_secret", "redact"}});
  std::string message = frame(kClient, 1, true, "t=" + token + "."), whole = sent(message), slow;
  steady_ = false;
  for (int tries = 0; tries < 500 && !steady_; ++tries) slow = sent("", message);
  EXPECT_TRUE(steady_);
  EXPECT_EQ(slow, whole);
}

TEST_F(WebSocketFindingsTest, ACredentialDoesNotLeaveInConsecutiveMessages) {
  allow({{"host", "ws.test"}, {"inspect", true}});
  auto typed = [](int number, const std::string& text) {
    return frame(kClient, 1, true, json{{"seq", number}, {"type", "input"}, {"data", text}}.dump());
  };
  std::string got = sent(typed(1, token.substr(0, 15)) + typed(2, token.substr(15, 15)) + typed(3, token.substr(30)));
  EXPECT_EQ(got.find(token.substr(30)), std::string::npos) << got;
  EXPECT_EQ(audited("secret").value("rule", ""), "github-token");
}

TEST_F(WebSocketFindingsTest, ACredentialDoesNotLeaveInAMessage) {
  allow({{"host", "ws.test"}, {"inspect", true}});
  EXPECT_EQ(sent(frame(kClient, 1, true, "hello") + frame(kClient, 1, true, std::string(2000, '.'))),
            "hello" + std::string(2000, '.'));
  EXPECT_EQ(sent(frame(kClient, 1, true, "hello") + frame(kClient, 1, true, "t=" + token)).find("t="),
            std::string::npos);
  EXPECT_EQ(sent(frame(kClient, 1, false, "t=" + token.substr(0, 20)) + frame(kClient, 9, true, "") +
                 frame(kClient, 0, true, token.substr(20))),
            "");
  EXPECT_EQ(sent(frame(kClient, 9, true, token)), "") << "in a ping";
  EXPECT_EQ(audited("secret").value("rule", ""), "github-token");
}

}  // namespace
}  // namespace bottle::guard
