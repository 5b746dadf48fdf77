// Checks how much a stream reads in one call, and that a peer cannot keep a stream from returning to the loop.
#include "guard/net/stream.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "guard/net/task.h"

namespace bottle::guard {
namespace {

// Stands for a connection on which these bytes have arrived.
class ArrivedPort : public Port {
 public:
  explicit ArrivedPort(std::string& in, std::string& out) : in_(in), out_(out) {}
  ssize_t recv(void* buffer, size_t size) override {
    if (in_.empty()) return errno = EAGAIN, -1;
    ++reads;
    size_t n = in_.copy(static_cast<char*>(buffer), size);
    in_.erase(0, n);
    return static_cast<ssize_t>(n);
  }
  ssize_t send(const void* bytes, size_t size) override {
    out_.append(static_cast<const char*>(bytes), size);
    return static_cast<ssize_t>(size);
  }
  void shut() override {}

  int reads = 0;  // that returned something

 private:
  std::string &in_, &out_;
};

// Connects two streams with TLS.
struct Pair {
  explicit Pair(Waker* waker) {
    for (Stream* each : {&client, &server}) each->source = std::make_unique<Source>();
    auto port = std::make_unique<ArrivedPort>(to_client, to_server);
    at_client = port.get();
    client.source->open(std::move(port), waker);
    server.source->open(std::make_unique<ArrivedPort>(to_server, to_client), nullptr);
    client.ssl = std::move(*connect_tls(roots.get(), {"a.test", false}, 443));
    server.ssl = std::move(*ca->accept({"a.test", false}, Offer::http1));
    for (Stream* each : {&client, &server}) attach(each->ssl.get(), each->source.get());
    for (int i = 0; i < 4; ++i)
      for (Stream* each : {&client, &server}) {
        each->source->ready = {.read = true, .write = true};
        SSL_do_handshake(each->ssl.get());
      }
  }
  bool established() const { return SSL_is_init_finished(client.ssl.get()) && SSL_is_init_finished(server.ssl.get()); }

  std::unique_ptr<SessionCa> ca = std::move(*SessionCa::self_signed());
  std::unique_ptr<SSL_CTX, FreeTls> roots{make_upstream_context(ca->pem())};
  std::string to_client, to_server;
  ArrivedPort* at_client = nullptr;
  Stream client, server;
};

// Reads until a byte has arrived. Counts the turns of the loop.
Detached read(Loop& loop, Waker& waker, Stream& stream, int& turns) {
  while (stream.in.empty() && !stream.failed && loop.now() >= 0) {
    if (stream.fill()) continue;
    ++turns;
    if (!co_await waker.wait(loop.now() + 10'000)) break;
  }
  loop.stop();
}

TEST(StreamTest, EndlessNewKeysDoNotStarveOthers) {
  Loop loop;
  Waker waker(loop);
  Pair pair(&waker);
  auto& [ca, roots, to_client, to_server, at_client, client, server] = pair;
  ASSERT_TRUE(pair.established());
  while (to_client.size() < 256 << 10) {
    ASSERT_EQ(SSL_key_update(server.ssl.get(), SSL_KEY_UPDATE_NOT_REQUESTED), 1);
    ASSERT_EQ(SSL_do_handshake(server.ssl.get()), 1);
  }
  ASSERT_EQ(SSL_write(server.ssl.get(), "x", 1), 1);
  client.source->ready.read = true;
  int turns = 0;
  read(loop, waker, client, turns);
  loop.run([] { return -1; });
  EXPECT_EQ(client.in, "x");
  EXPECT_GT(turns, 2);
}

TEST(StreamTest, ReadsManyRecordsWithOneCall) {
  Pair pair(nullptr);
  ASSERT_TRUE(pair.established());
  std::string sent;
  for (int i = 0; i < 1'000'000; ++i) sent += static_cast<char>(i * 7 + i / 1000);
  pair.server.out = sent;
  ASSERT_TRUE(pair.server.flush() && pair.server.flushed());
  int before = pair.at_client->reads;
  pair.client.source->ready.read = true;
  while (pair.client.fill()) EXPECT_FALSE(pair.client.failed);
  EXPECT_EQ(pair.client.in, sent);
  EXPECT_LE(pair.at_client->reads - before, 17);
}

// The streams share the memory of what they have read ahead.
TEST(StreamTest, StreamsThatReadInTurnKeepTheirOwnBytes) {
  Pair one(nullptr), other(nullptr);
  ASSERT_TRUE(one.established() && other.established());
  one.server.out = std::string(300'000, '1');
  other.server.out = std::string(300'000, '2');
  for (Pair* each : {&one, &other}) {
    each->client.source->ready.read = true;
    ASSERT_TRUE(each->server.flush() && each->server.flushed());
  }
  bool some = true;
  while (some) {
    some = one.client.fill();
    some |= other.client.fill();
    ASSERT_FALSE(one.client.failed || other.client.failed);
  }
  EXPECT_EQ(one.client.in, std::string(300'000, '1'));
  EXPECT_EQ(other.client.in, std::string(300'000, '2'));
}

// Connects two streams with TLS over TCP.
struct TcpPair {
  TcpPair() {
    UniqueFd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in at{.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof at;
    EXPECT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    EXPECT_EQ(getsockname(listener.get(), reinterpret_cast<sockaddr*>(&at), &size), 0);
    EXPECT_EQ(listen(listener.get(), 1), 0);
    int to_server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(connect(to_server, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    int to_client = accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC);
    client.ssl = std::move(*connect_tls(roots.get(), {"a.test", false}, 443));
    server.ssl = std::move(*ca->accept({"a.test", false}, Offer::http1));
    for (auto& [stream, fd] : {std::pair(&client, to_server), std::pair(&server, to_client)}) {
      fcntl(fd, F_SETFL, O_NONBLOCK);
      stream->source = std::make_unique<Source>();
      stream->source->open(fd, nullptr);
      attach(stream->ssl.get(), stream->source.get());
    }
    for (bool waits = true; waits;) {
      waits = false;
      for (Stream* each : {&client, &server}) {
        each->source->ready = {.read = true, .write = true};
        waits |= SSL_do_handshake(each->ssl.get()) != 1;
      }
    }
  }
  // Returns how the connection ends for the client, after all bytes that came before: 0, or an error.
  int end_at_client() const {
    char buffer[16384];
    for (pollfd p{client.source->fd(), POLLIN, 0}; poll(&p, 1, 60'000) == 1;) {
      ssize_t n = recv(client.source->fd(), buffer, sizeof buffer, 0);
      if (n <= 0) return n == 0 ? 0 : errno;
    }
    return ETIMEDOUT;
  }

  std::unique_ptr<SessionCa> ca = std::move(*SessionCa::self_signed());
  std::unique_ptr<SSL_CTX, FreeTls> roots{make_upstream_context(ca->pem())};
  Stream client, server;
};

TEST(StreamTest, EndsWithAResetAfterHalfARecord) {
  for (bool destroyed : {false, true}) {
    TcpPair pair;
    std::optional<Stream> server(std::in_place);
    server->source = std::move(pair.server.source);
    server->ssl = std::move(pair.server.ssl);
    server->out = std::string(64 << 20, 'x');
    ASSERT_TRUE(server->flush());
    ASSERT_FALSE(server->flushed() || server->failed);
    server->end_tls();
    if (destroyed) server.reset();
    else server->reset();
    EXPECT_EQ(pair.end_at_client(), ECONNRESET);
  }
}

// TLS gets the bytes of a record only once, so what is in half a record can no longer be replaced.
TEST(StreamTest, TakesBackOnlyWhatTlsHasNotBegunToSend) {
  TcpPair pair;
  Stream& server = pair.server;
  EXPECT_TRUE(server.take_back(0));
  while (server.flushed()) {
    server.out = std::string(1 << 20, 'x');
    ASSERT_TRUE(server.flush());
  }
  server.out.resize(server.out_at + 40'000);
  uint64_t sent = server.sent;
  EXPECT_FALSE(server.take_back(sent - 1));
  EXPECT_FALSE(server.take_back(sent)) << "half of it may have left";
  EXPECT_FALSE(server.take_back(sent + 16'383));
  EXPECT_EQ(server.unsent(), 40'000u);
  EXPECT_TRUE(server.take_back(sent + 50'000));
  EXPECT_EQ(server.unsent(), 40'000u);
  EXPECT_TRUE(server.take_back(sent + 16'384));
  EXPECT_EQ(server.unsent(), 16'384u);
  server.out += "error";
  std::string& got = pair.client.in;
  while (got.size() < sent + 16'384 + 5 && !pair.client.failed) {
    pair.client.source->ready = server.source->ready = {.read = true, .write = true};
    pair.client.fill();
    server.flush();
  }
  EXPECT_EQ(got.substr(std::min<size_t>(got.size(), sent)), std::string(16'384, 'x') + "error");
}

TEST(StreamTest, EndsInAnOrderlyWayAfterAWholeRecord) {
  TcpPair pair;
  pair.server.out = "x";
  ASSERT_TRUE(pair.server.flush() && pair.server.flushed());
  pair.server.end_tls();
  pair.server.reset();
  EXPECT_EQ(pair.end_at_client(), 0);
}

TEST(StreamTest, CountsWhatItHasReadAhead) {
  size_t before = held_by_streams();
  Pair one(nullptr), other(nullptr);
  one.server.out = std::string(60'000, '1');
  one.client.source->ready.read = true;
  ASSERT_TRUE(one.server.flush() && one.client.fill());
  EXPECT_GT(held_by_streams() - before, 60'000u);
  other.server.out = "x";
  other.client.source->ready.read = true;
  ASSERT_TRUE(other.server.flush() && other.client.fill());  // needs the memory that both share
  EXPECT_GT(one.client.source->ahead(), 40'000u);
}

}  // namespace
}  // namespace bottle::guard
