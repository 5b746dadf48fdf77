// Tests two sessions that are connected to each other.
#include "guard/h2/session.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "guard/h2/frames_test.h"

namespace bottle::guard::h2 {
namespace {

class SessionTest : public testing::Test {
 protected:
  void exchange() {
    for (bool moved = true; moved;) {
      std::string up, down;
      moved = client_.transmit(up, 1 << 20);
      moved |= server_.transmit(down, 1 << 20);
      server_.receive(up, now_);
      client_.receive(down, now_);
    }
  }
  // Sends a request, and returns its stream on the server's side.
  std::shared_ptr<Stream> request(std::string_view text) {
    asked_ = client_.open();
    EXPECT_EQ(asked_->write(text), text.size());
    exchange();
    return server_.accept();
  }
  int64_t now_ = 1000;
  Session client_{Role::client}, server_{Role::server};
  std::shared_ptr<Stream> asked_;
};

TEST_F(SessionTest, CarriesARequestAndItsAnswer) {
  auto served = request("GET /a?b HTTP/1.1\r\nHost: a.test\r\nX-One: 1\r\nConnection: TE\r\nTE: trailers\r\n\r\n");
  ASSERT_TRUE(served);
  EXPECT_EQ(all_of(*served), "GET /a?b HTTP/1.1\r\nHost: a.test\r\nx-one: 1\r\nte: trailers\r\n\r\n");
  EXPECT_TRUE(served->ended());
  served->write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Two: 2\r\n\r\nhi");
  exchange();
  EXPECT_EQ(all_of(*asked_), "HTTP/1.1 200 \r\nx-two: 2\r\nContent-Length: 2\r\n\r\nhi");
  EXPECT_TRUE(asked_->ended());
  EXPECT_EQ(client_.streams() + server_.streams(), 0u);
}

TEST_F(SessionTest, CarriesBothBodiesAtTheSameTimeAndTheirTrailers) {
  auto served = request("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  ASSERT_TRUE(served);
  EXPECT_EQ(all_of(*served), "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  served->write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n");
  exchange();
  EXPECT_EQ(all_of(*asked_), "HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n");
  asked_->write("1\r\nd\r\n0\r\nx-sum: 4\r\n\r\n");
  exchange();
  EXPECT_EQ(all_of(*served), "1\r\nd\r\n0\r\nx-sum: 4\r\n\r\n");
  served->write("0\r\ngrpc-status: 0\r\n\r\n");
  exchange();
  EXPECT_EQ(all_of(*asked_), "0\r\ngrpc-status: 0\r\n\r\n");
  EXPECT_TRUE(asked_->ended() && served->ended());
}

TEST_F(SessionTest, CarriesInterimAnswers) {
  auto served = request("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  served->write("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n");
  exchange();
  EXPECT_EQ(all_of(*asked_), "HTTP/1.1 103 \r\nlink: </a>\r\n\r\nHTTP/1.1 204 \r\n\r\n");
  EXPECT_TRUE(asked_->ended());
}

TEST_F(SessionTest, HoldsAtMostOneWindowOfUnreadData) {
  auto served = request("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10000000\r\n\r\n");
  std::string piece(100'000, 'x');
  while (asked_->write(piece) > 0) exchange();
  EXPECT_LT(served->held(), 200u * 1024);
  EXPECT_LT(asked_->held(), 200u * 1024);
  EXPECT_FALSE(asked_->has_room());
  size_t read = all_of(*served).size();
  EXPECT_GT(read, 60u * 1024);
  exchange();
  EXPECT_TRUE(asked_->has_room());  // reading makes room
}

TEST_F(SessionTest, ASlowReaderHoldsAtMostOneWindow) {
  auto served = request("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100000000\r\n\r\n");
  std::string piece(100'000, 'x');
  char buffer[16 * 1024];
  size_t most = 0;
  for (int i = 0; i < 2000; ++i) {
    while (asked_->write(piece) > 0) exchange();
    ASSERT_GT(served->read(buffer, sizeof buffer), 0u);
    exchange();
    most = std::max({most, served->held(), asked_->held()});
  }
  EXPECT_LT(most, 3u << 20);
}

// Returns how much the client can send before the server reads.
size_t window_of(Stream& stream, const std::function<void()>& exchange) {
  size_t sent = 0;
  std::string piece(100'000, 'x');
  for (size_t n; (n = stream.write(piece)) > 0; sent += n) exchange();
  return sent;
}

TEST_F(SessionTest, AStreamThatIsReadFastGetsALargerWindow) {
  auto served = request("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100000000\r\n\r\n");
  auto step = [this] { exchange(); };
  EXPECT_LT(window_of(*asked_, step), 200u * 1024);
  for (int i = 0; i < 30; ++i) {
    all_of(*served);
    exchange();
    window_of(*asked_, step);
  }
  all_of(*served);
  exchange();
  size_t window = window_of(*asked_, step);
  EXPECT_GE(window, kMostClientWindow);
  EXPECT_LT(window, kMostClientWindow + 200 * 1024);
}

TEST(SessionMemoryTest, ALargerWindowCountsAndIsGivenBack) {
  const size_t others = kMostForWindows - kMostClientWindow * 3;  // held by other sessions
  size_t total = others;
  {
    Session client(Role::client), server(Role::server, &total);
    auto exchange = [&] {
      for (bool moved = true; moved;) {
        std::string up, down;
        moved = client.transmit(up, 1 << 20);
        moved |= server.transmit(down, 1 << 20);
        server.receive(up, 1000);
        client.receive(down, 1000);
      }
    };
    auto upload = [&](Stream& asked) {
      auto served = server.accept();
      for (int i = 0; i < 25; ++i) {
        window_of(asked, exchange);
        all_of(*served);
        exchange();
      }
      return served;
    };
    std::vector<std::shared_ptr<Stream>> asked, served;
    for (int i = 0; i < 6; ++i) {
      asked.push_back(client.open());
      asked.back()->write("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100000000\r\n\r\n");
      exchange();
      served.push_back(upload(*asked.back()));
      if (i == 0) EXPECT_GT(total, others + kMostClientWindow / 2);
    }
    size_t arrived = served.size() * 192 * 1024;
    EXPECT_LT(total, kMostForWindows + arrived);  // the last streams keep small windows
    for (auto& each : asked) each->drop();
    exchange();
    EXPECT_LT(total, others + arrived);
    for (auto& each : served) each->drop();
  }
  EXPECT_EQ(total, others);
}

TEST_F(SessionTest, AnUnreadStreamDoesNotBlockOthers) {
  auto stuck = request("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10000000\r\n\r\n");
  auto first = asked_;
  for (std::string piece(100'000, 'x'); first->write(piece) > 0;) exchange();
  auto served = request("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabc");
  ASSERT_TRUE(served);
  EXPECT_TRUE(all_of(*served).ends_with("\r\n\r\nabc"));
}

TEST_F(SessionTest, ATruncatedAnswerResetsItsStream) {
  auto served = request("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  served->write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi");
  served->drop();
  exchange();
  EXPECT_TRUE(asked_->broken());
  EXPECT_FALSE(asked_->ended());
}

TEST_F(SessionTest, AnAnswerWithoutALengthIsCompleteOnlyIfItIsEnded) {
  for (bool whole : {true, false}) {
    auto served = request("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    served->write("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhi");
    if (whole) served->end();
    served->drop();
    exchange();
    EXPECT_EQ(asked_->broken(), !whole);
  }
}

TEST_F(SessionTest, AnAnswerIsSentAfterTheGuardDroppedTheStream) {
  auto served = request("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100\r\n\r\npart");
  served->write("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
  served->drop();
  exchange();
  EXPECT_TRUE(all_of(*asked_).ends_with("\r\n\r\nno"));
  EXPECT_TRUE(asked_->ended() && asked_->closed());  // the client does not have to send the rest
}

TEST_F(SessionTest, TheClientsResetReachesTheServer) {
  auto served = request("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  asked_->drop();
  exchange();
  EXPECT_TRUE(served->broken());
  EXPECT_EQ(served->write("HTTP/1.1 200 OK\r\n\r\n"), 0u);
}

TEST_F(SessionTest, AStreamOutlivesItsSession) {
  auto session = std::make_unique<Session>(Role::client);
  auto stream = session->open();
  int changes = 0;
  stream->on_change = [&] { ++changes; };
  session.reset();
  EXPECT_TRUE(stream->broken());
  EXPECT_EQ(changes, 1);
  EXPECT_EQ(stream->write("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"), 0u);
  stream->drop();
}

TEST_F(SessionTest, AfterAShutDownNewRequestsAreRefusedAndOldOnesContinue) {
  auto served = request("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  auto old = asked_;
  server_.shut_down();
  exchange();
  EXPECT_FALSE(client_.has_room());
  served->write("HTTP/1.1 204 No Content\r\n\r\n");
  exchange();
  EXPECT_EQ(all_of(*old), "HTTP/1.1 204 \r\n\r\n");
  EXPECT_TRUE(old->ended());
}

}  // namespace
}  // namespace bottle::guard::h2
