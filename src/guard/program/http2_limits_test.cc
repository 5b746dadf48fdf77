// Checks what the guard does with peers that break HTTP/2, send too much or do not read.
#include <netinet/tcp.h>

#include "guard/http2_link.h"
#include "guard/program/http2_test.h"

namespace bottle::guard {
namespace {

using h2::block;
using h2::frame;

constexpr uint8_t kData = 0, kHeaders = 1, kSettings = 4, kPing = 6, kGoAway = 7;  // frame types
constexpr uint8_t kAck = 1, kEndHeaders = 4;                                       // frame flags

TEST_F(Http2Test, AHeadThatIsTooLargeIsAnswered) {
  Http2Origin origin(ca_.get(), "a.test", [](const std::string& request) {
    std::string answer = ok("hello");
    // The head has less than 320 KB as text, but more with the 32 bytes that HTTP/2 counts for each field.
    if (request.starts_with("GET /large "))
      for (int i = 100; i < 590; ++i)
        answer.insert(17, "X-" + std::to_string(i) + ": " + std::string(650, 'x') + "\r\n");
    return answer;
  });
  inspect("a.test", origin.port);
  Peer peer = client("a.test");
  std::string large = "GET /a HTTP/1.1\r\nHost: a.test\r\n";
  for (int i = 0; i < 190; ++i) large += "X-" + std::to_string(i) + ": " + std::string(320, 'x') + "\r\n";
  std::string answer = peer.fetch(large + "\r\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 431 ")) << answer;
  EXPECT_NE(answer.find("x-bottle-deny: bad_request"), answer.npos) << answer;
  EXPECT_EQ(audited("bad_request")["reason"], "the head is too large");
  EXPECT_TRUE(peer.fetch("GET /large HTTP/1.1\r\nHost: a.test\r\n\r\n").starts_with("HTTP/1.1 502 "));
  EXPECT_EQ(audited("bad_answer")["reason"], "the server's answer is not valid: the head is too large");
  EXPECT_TRUE(peer.fetch(kGet).ends_with("hello"));
}

TEST_F(Http2Test, AMalformedRequestIsRecorded) {
  Http2Origin origin(ca_.get(), "a.test", [](const std::string&) { return ok("hello"); });
  inspect("a.test", origin.port);
  Peer peer = client("a.test");
  // h2::Session passes on this path, which no request may have.
  auto stream = peer.ask("GET https://b.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n");
  peer.read(*stream);
  EXPECT_TRUE(stream->broken());
  EXPECT_EQ(audited("bad_request")["action"], "deny");
  EXPECT_TRUE(peer.fetch(kGet).ends_with("hello"));
}

TEST_F(Http2Test, EachMalformedRequestIsRecorded) {
  Http2Origin origin(ca_.get(), "a.test", [](const std::string&) { return ok("hello"); });
  inspect("a.test", origin.port);
  Peer peer = client("a.test");
  for (int i = 0; i < 3; ++i) peer.session.open()->write("GET https://b.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n");
  EXPECT_TRUE(peer.fetch(kGet).ends_with("hello"));  // all frames arrive together
  for (int i = 0; i < 3; ++i) EXPECT_EQ(audited("bad_request")["action"], "deny") << i;
}

TEST_F(Http2Test, AServerThatAcceptsNoRequestsIsReported) {
  uint16_t port = 0;
  UniqueFd listener = listen_on_loopback(port);
  std::thread server([&] {
    for (int fd; (fd = accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) {
      TestPeer wire{UniqueFd(fd), {}, {}};
      timeval patience{kPatienceMs / 1000, 0};
      setsockopt(wire.fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
      wire.ssl = std::move(*ca_->accept({"a.test", false}, Offer::http2));
      SSL_set_fd(wire.ssl.get(), wire.fd.get());
      // The last bytes of the server's handshake arrive together with its frames.
      SSL_set_max_proto_version(wire.ssl.get(), TLS1_2_VERSION);
      int cork = 1;
      setsockopt(wire.fd.get(), IPPROTO_TCP, TCP_CORK, &cork, sizeof cork);
      if (SSL_accept(wire.ssl.get()) != 1) return;
      wire.write(frame(kSettings, 0, 0, "") + frame(kGoAway, 0, 0, std::string(8, '\0')));
      cork = 0;
      setsockopt(wire.fd.get(), IPPROTO_TCP, TCP_CORK, &cork, sizeof cork);
      wire.to_end();
    }
  });
  inspect("a.test", port);
  Peer peer = client("a.test");
  EXPECT_TRUE(peer.fetch(kGet).starts_with("HTTP/1.1 502 "));
  shutdown(listener.get(), SHUT_RDWR);
  server.join();
}

TEST_F(Http2Test, AServerThatWantsAClientCertificateIsReported) {
  uint16_t port = 0;
  UniqueFd listener = listen_on_loopback(port);
  std::thread server([&] {
    UniqueFd fd(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    auto ssl = std::move(*ca_->accept({"a.test", false}, Offer::http2));
    // With TLS 1.3, the guard learns that the server refuses it only after its side of the handshake has ended.
    SSL_set_min_proto_version(ssl.get(), TLS1_3_VERSION);
    SSL_set_verify(ssl.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    SSL_set_fd(ssl.get(), fd.get());
    EXPECT_NE(SSL_accept(ssl.get()), 1);
    char buffer[4096];
    while (recv(fd.get(), buffer, sizeof buffer, 0) > 0) {
    }
  });
  inspect("a.test", port);
  Peer peer = client("a.test");
  EXPECT_TRUE(peer.fetch(kGet).starts_with("HTTP/1.1 502 "));
  std::string reason = audited("upstream_tls").value("reason", "");
  EXPECT_NE(reason.find("alert certificate required"), reason.npos) << reason;
  EXPECT_NE(reason.find("asks for a client certificate"), reason.npos) << reason;
  server.join();
}

TEST_F(Http2Test, AnEndlessHeadIsNotAwaited) {
  Http2Origin origin(ca_.get(), "a.test", [](const std::string&) { return ok("hello"); });
  config_["egress"]["idle_seconds"] = 1;
  inspect("a.test", origin.port);
  Peer peer = client("a.test");
  EXPECT_TRUE(peer.fetch(kGet).ends_with("hello"));
  peer.wire.write(frame(kHeaders, 0, 3, block({{":method", "GET"}})));
  json line;
  while ((line = next_line())["type"] == "audit" && line["action"] != "close") {
  }
  EXPECT_EQ(line.value("action", ""), "close") << line;
}

// Checks the memory for many streams whose requests wait for a connection to the server. The guard's container has 256
// MB.
class Http2WaitingTest : public Http2Test {
 protected:
  static inline const std::string kPost =
      block({{":method", "POST"}, {":scheme", "https"}, {":authority", "a.test"}, {":path", "/"}});

  // Sends the frames on 40 connections.
  void send(const std::string& frames) {
    uint16_t port = 0;
    silent_ = listen_on_loopback(port);  // accepts connections and sends nothing
    inspect("a.test", port);
    for (int i = 0; i < 40; ++i) {
      wires_.push_back(std::move(client("a.test").wire));
      int little = 16 * 1024;  // so that what was written is not buffered in the kernel
      setsockopt(wires_.back().fd.get(), SOL_SOCKET, SO_SNDBUF, &little, sizeof little);
    }
    for (TestPeer& wire : wires_) wire.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(kSettings, 0, 0, "") + frames);
  }
  UniqueFd silent_;
  std::vector<TestPeer> wires_;
};

TEST_F(Http2WaitingTest, WaitingBodiesAreBounded) {
  std::string frames, piece(16'000, 'x');
  for (uint32_t id = 1; id < 200; id += 2) {
    frames += frame(kHeaders, kEndHeaders, id, kPost);
    for (int i = 0; i < 4; ++i) frames += frame(kData, 0, id, piece);
  }
  send(frames);
  EXPECT_LT(most_resident(), kMostMemory) << "256 MB arrived";
}

TEST_F(Http2WaitingTest, WaitingHeadsAreBounded) {
  // Puts a header of 4000 bytes into the table, and then refers to it with one byte each.
  std::string frames, large = "\x40" + std::string("\x01z\x7f\xa1\x1e", 5) + std::string(4000, 'x');
  for (uint32_t id = 1; id < 200; id += 2)
    frames += frame(kHeaders, kEndHeaders, id, kPost + std::exchange(large, "") + std::string(14, '\xbe'));
  send(frames + frame(kPing, 0, 0, "12345678"));
  for (TestPeer& wire : wires_)  // the guard has read them all when it answers the ping, or it ends the connection
    while (wire.in.find(frame(kPing, kAck, 0, "12345678")) == std::string::npos && wire.more()) {
    }
  EXPECT_LT(most_resident(), kMostMemory) << "heads of 224 MB arrived";
}

class DeafPort : public Port {
 public:
  explicit DeafPort(std::string* bytes) : bytes_(bytes) {}
  ssize_t recv(void* buffer, size_t size) override {
    if (bytes_->empty()) return errno = EAGAIN, -1;
    size_t n = bytes_->copy(static_cast<char*>(buffer), size);
    bytes_->erase(0, n);
    return static_cast<ssize_t>(n);
  }
  ssize_t send(const void*, size_t) override { return errno = EAGAIN, -1; }
  void shut() override {}

 private:
  std::string* bytes_;
};

// If both sides stopped reading because the other does not read, neither would ever continue.
TEST(Http2LinkTest, APeerThatDoesNotReadIsStillRead) {
  std::string arriving;
  Stream stream;
  stream.source = std::make_unique<Source>();
  stream.source->open(std::make_unique<DeafPort>(&arriving), nullptr);
  h2::Session session(h2::Role::server), peer(h2::Role::client);
  auto ask = [&] {
    auto asked = peer.open();
    asked->write(kGet);
    peer.transmit(arriving, 1 << 20);
    stream.source->ready.read = true;
    step(session, stream, 0);
    return session.accept();
  };
  auto first = ask();
  ASSERT_TRUE(first);
  first->write("HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n");
  for (int i = 0; i < 10 && stream.unsent() < 64 * 1024; ++i) {
    first->write(std::string(50'000, 'x'));
    step(session, stream, 0);
  }
  ASSERT_GE(stream.unsent(), 64u * 1024);
  EXPECT_TRUE(ask());
}

// Opens connections with unfinished heads, which the guard must hold. Together, these have more than half of the bytes
// above which the guard accepts no new clients.
std::vector<UniqueFd> crowd(uint16_t port) {
  std::vector<UniqueFd> clients;
  const std::string begun = "GET http://a.test/ HTTP/1.1\r\nA: " + std::string(62'000, 'a');
  for (size_t bytes = 0; bytes < 54u << 20; bytes += begun.size()) {
    clients.push_back(dial_loopback(port));
    EXPECT_TRUE(write_all(clients.back().get(), begun));
  }
  return clients;
}

TEST_F(Http2Test, IdleConnectionsToServersCloseWhenMemoryIsScarce) {
  Http2Origin origin(ca_.get(), "a.test", [](const std::string&) { return ok("hello"); });
  inspect("a.test", origin.port);
  Peer peer = client("a.test");
  EXPECT_TRUE(peer.fetch(kGet).ends_with("hello"));
  EXPECT_TRUE(peer.fetch(kGet).ends_with("hello"));
  EXPECT_EQ(origin.accepted, 1);
  auto others = crowd(port_);
  EXPECT_TRUE(comes_true([&] { return origin.ended == 1; }));
  EXPECT_TRUE(peer.fetch(kGet).ends_with("hello"));
  EXPECT_EQ(origin.accepted, 2) << "the client notices nothing but a new connection to the server";
}

TEST_F(Http2Test, AFloodEndsTheConnectionAndIsRecorded) {
  Http2Origin origin(ca_.get(), "a.test", [](const std::string&) { return ok("hello"); });
  inspect("a.test", origin.port);
  Peer peer = client("a.test");
  ASSERT_TRUE(peer.flush());
  std::string pings;
  for (int i = 0; i < 5000; ++i) pings += std::string("\0\0\x8\6\0\0\0\0\0", 9) + "12345678";
  peer.wire.write(pings);
  while (peer.more()) {
  }
  json line = audited("bad_http2");
  EXPECT_NE(line["reason"], "") << line;
}

// The request must not be sent again to such a server, and neither the operator nor the agent may be told that the
// server has closed the connection.
TEST_F(Http2Test, AFloodFromAServerEndsTheConnectionAndIsRecorded) {
  uint16_t port = 0;
  UniqueFd listener = listen_on_loopback(port);
  std::atomic<int> accepted = 0;
  std::thread server([&] {
    for (int fd; (fd = accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) {
      ++accepted;
      TestPeer wire{UniqueFd(fd), {}, {}};
      timeval patience{kPatienceMs / 1000, 0};
      setsockopt(wire.fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
      wire.ssl = std::move(*ca_->accept({"a.test", false}, Offer::http2));
      SSL_set_fd(wire.ssl.get(), wire.fd.get());
      if (SSL_accept(wire.ssl.get()) != 1) return;
      Peer server(std::move(wire), h2::Role::server);
      while (!server.session.accept() && server.more()) {
      }
      std::string pings;
      for (int i = 0; i < 5000; ++i) pings += frame(kPing, kAck, 0, "12345678");
      server.wire.write(pings);
      server.wire.to_end();
    }
  });
  inspect("a.test", port);
  Peer peer = client("a.test");
  std::string answer = peer.fetch(kGet);
  EXPECT_NE(answer.find("x-bottle-error: bad_answer"), answer.npos) << answer;
  json line = audited("bad_http2");
  EXPECT_EQ(line["reason"], "from the server: too many frames without data arrived");
  EXPECT_EQ(line["host"], "a.test");
  EXPECT_EQ(audited("bad_answer")["reason"], "the server's answer is not valid: too many frames without data arrived");
  EXPECT_EQ(accepted, 1);
  shutdown(listener.get(), SHUT_RDWR);
  server.join();
}

}  // namespace
}  // namespace bottle::guard
