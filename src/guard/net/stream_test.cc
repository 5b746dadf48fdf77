// Checks that a peer cannot keep a stream from returning to the loop.
#include "guard/net/stream.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>

#include "guard/net/task.h"

namespace bottle::guard {
namespace {

// A connection on which these bytes have arrived.
class ArrivedPort : public Port {
 public:
  explicit ArrivedPort(std::string& in, std::string& out) : in_(in), out_(out) {}
  ssize_t recv(void* buffer, size_t size) override {
    if (in_.empty()) return errno = EAGAIN, -1;
    size_t n = in_.copy(static_cast<char*>(buffer), size);
    in_.erase(0, n);
    return static_cast<ssize_t>(n);
  }
  ssize_t send(const void* bytes, size_t size) override {
    out_.append(static_cast<const char*>(bytes), size);
    return static_cast<ssize_t>(size);
  }
  void shut() override {}

 private:
  std::string &in_, &out_;
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
  auto ca = std::move(*SessionCa::self_signed());
  std::unique_ptr<SSL_CTX, FreeTls> roots(make_upstream_context(ca->pem()));
  std::string to_client, to_server;
  Loop loop;
  Waker waker(loop);
  Stream client, server;
  for (Stream* each : {&client, &server}) each->source = std::make_unique<Source>();
  client.source->open(std::make_unique<ArrivedPort>(to_client, to_server), &waker);
  server.source->open(std::make_unique<ArrivedPort>(to_server, to_client), nullptr);
  client.ssl = std::move(*connect_tls(roots.get(), {"a.test", false}, 443));
  server.ssl = std::move(*ca->accept({"a.test", false}, Offer::http1));
  for (Stream* each : {&client, &server}) attach(each->ssl.get(), each->source.get());
  for (int i = 0; i < 4; ++i)
    for (Stream* each : {&client, &server}) {
      each->source->ready.read = true;
      SSL_do_handshake(each->ssl.get());
    }
  ASSERT_TRUE(SSL_is_init_finished(client.ssl.get()) && SSL_is_init_finished(server.ssl.get()));
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

}  // namespace
}  // namespace bottle::guard
