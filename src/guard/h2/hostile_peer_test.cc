// Checks what a session does with a peer that breaks the protocol or causes too much work.
#include <gtest/gtest.h>
#include <nghttp2/nghttp2.h>

#include "guard/h2/frames_test.h"
#include "guard/h2/session.h"

namespace bottle::guard::h2 {
namespace {

const Fields kGet = {{":method", "GET"}, {":scheme", "https"}, {":authority", "a.test"}, {":path", "/x?y"}};

Fields with(Fields fields, const Fields& more) {
  fields.insert(fields.end(), more.begin(), more.end());
  return fields;
}

std::string headers(uint32_t id, const Fields& fields, bool ended = true) {
  return frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | (ended ? NGHTTP2_FLAG_END_STREAM : 0), id, block(fields));
}

// A client that sends handcrafted frames.
class HostileClientTest : public testing::Test {
 protected:
  void SetUp() override { send(std::string(NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN) + frame(4, 0, 0, "")); }
  bool send(const std::string& bytes) {
    bool fine = session_.receive(bytes, now_);
    out_.clear();
    session_.transmit(out_, 1 << 22);
    return fine && !session_.over();
  }
  // Returns whether the guard gets the request.
  bool served(const std::string& bytes) {
    send(bytes);
    auto stream = session_.accept();
    return stream && stream->held() > 0;
  }
  Session session_{Role::server};
  int64_t now_ = 1000;
  std::string out_;
};

TEST_F(HostileClientTest, AValidRequestIsServed) { EXPECT_TRUE(served(headers(1, kGet))); }

TEST_F(HostileClientTest, MalformedRequestsAreRefusedOneByOne) {
  const std::pair<const char*, Fields> kBad[] = {
      {"no path", {{":method", "GET"}, {":scheme", "https"}, {":authority", "a.test"}}},
      {"two methods", with({{":method", "GET"}}, kGet)},
      {"upper case", with(kGet, {{"X-Upper", "1"}})},
      {"connection", with(kGet, {{"connection", "close"}})},
      {"transfer-encoding", with(kGet, {{"transfer-encoding", "chunked"}})},
      {"upgrade", with(kGet, {{"upgrade", "h2c"}})},
      {"http2-settings", with(kGet, {{"http2-settings", "AAMAAABkAAQAAP__"}})},
      {"te", with(kGet, {{"te", "gzip"}})},
      {"pseudo after header", with({{"a", "b"}}, kGet)},
      {"unknown pseudo", with(kGet, {{":protocol", "websocket"}})},
      {"another host", with(kGet, {{"host", "b.test"}})},
      {"two lengths", with(kGet, {{"content-length", "0"}, {"content-length", "0"}})},
      {"a length without a body", with(kGet, {{"content-length", "3"}})},
      {"a space after a value", with(kGet, {{"a", "b "}})},
      {"a line in a value", with(kGet, {{"a", "b\r\nc: d"}})},
      {"a line in a name", with(kGet, {{"a: b\r\nc", "d"}})},
      {"a space in the path",
       {{":method", "GET"}, {":scheme", "https"}, {":authority", "a.test"}, {":path", "/ HTTP/1.1"}}},
      {"an absolute path",
       {{":method", "GET"}, {":scheme", "https"}, {":authority", "a.test"}, {":path", "https://b.test/"}}},
      {"a line in the authority",
       {{":method", "GET"}, {":scheme", "https"}, {":authority", "a.test\r\nb: c"}, {":path", "/"}}},
      {"http", {{":method", "GET"}, {":scheme", "http"}, {":authority", "a.test"}, {":path", "/"}}},
      {"CONNECT", {{":method", "CONNECT"}, {":authority", "a.test:443"}}},
      {"WebSocket over HTTP/2", with({{":method", "CONNECT"}, {":protocol", "websocket"}},
                                     {{":scheme", "https"}, {":authority", "a.test"}, {":path", "/"}})},
  };
  uint32_t id = 1;
  uint64_t malformed = 0;
  for (const auto& [what, fields] : kBad) {
    EXPECT_FALSE(served(headers(id, fields))) << what;
    EXPECT_GT(session_.malformed(), malformed) << what;
    malformed = session_.malformed();
    EXPECT_FALSE(session_.over()) << what << session_.why();
    id += 2;
  }
  EXPECT_TRUE(served(headers(id, kGet)));
}

TEST_F(HostileClientTest, ABodyThatDisagreesWithItsLengthIsCutOff) {
  send(headers(1, with(kGet, {{"content-length", "3"}}), false));
  auto stream = session_.accept();
  ASSERT_TRUE(stream);
  send(frame(NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1, "abcd"));
  EXPECT_TRUE(stream->broken());
}

TEST_F(HostileClientTest, AHeadIsNotBlamedForItsTrailers) {
  send(headers(1, kGet, false) + headers(1, {{"X-Upper", "1"}}));
  auto stream = session_.accept();
  EXPECT_TRUE(!stream || (stream->broken() && stream->fault().empty()));
  EXPECT_EQ(session_.malformed(), 1u);
}

TEST_F(HostileClientTest, AHeadThatIsTooLargeIsAnswered) {
  std::string large(kMostHead, 'x'), whole = block(with(kGet, {{"a", large}}));
  send(frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 1, whole.substr(0, 16000)));
  for (size_t at = 16000; at < whole.size(); at += 16000)
    send(frame(NGHTTP2_CONTINUATION, at + 16000 >= whole.size() ? NGHTTP2_FLAG_END_HEADERS : 0, 1,
               whole.substr(at, 16000)));
  auto stream = session_.accept();
  ASSERT_TRUE(stream);
  EXPECT_EQ(stream->fault(), "the head is too large");
  EXPECT_EQ(all_of(*stream), "");
  EXPECT_TRUE(stream->ended());
  stream->write("HTTP/1.1 431 X\r\nContent-Length: 1\r\n\r\nx");
  stream->drop();
  EXPECT_TRUE(send(""));
  EXPECT_NE(out_.find("431"), out_.npos);
  EXPECT_TRUE(served(headers(3, kGet)));
}

TEST_F(HostileClientTest, HeadsThatAreTooLargeEndTheConnection) {
  std::string whole = block(kGet) + block(Fields(kMostFields, {"a", "b"}));
  uint32_t id = 1;
  for (uint8_t flags = NGHTTP2_FLAG_END_STREAM | NGHTTP2_FLAG_END_HEADERS;
       id < 10'000 && send(frame(NGHTTP2_HEADERS, flags, id, whole)); id += 2) {
    auto stream = session_.accept();
    ASSERT_TRUE(stream);
    stream->write("HTTP/1.1 431 X\r\nContent-Length: 0\r\n\r\n");
    stream->drop();
  }
  EXPECT_LT(id / 2, 210u);
  EXPECT_EQ(session_.why(), "too many heads were too large");
}

TEST_F(HostileClientTest, AnnouncedTrailersPassDespiteALength) {
  for (const Field& field : {Field{"trailer", "x-sum"}, Field{"content-type", "application/grpc+proto"}}) {
    uint32_t id = field.name == "trailer" ? 1 : 3;
    send(headers(id, with(kGet, {field, {"content-length", "3"}}), false) + frame(NGHTTP2_DATA, 0, id, "abc") +
         headers(id, {{"x-sum", "6"}}));
    auto stream = session_.accept();
    ASSERT_TRUE(stream);
    EXPECT_EQ(all_of(*stream), "GET /x?y HTTP/1.1\r\nHost: a.test\r\n" + field.name + ": " + field.value +
                                   "\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 6\r\n\r\n");
  }
  send(headers(5, with(kGet, {{"trailer", "x-sum"}, {"content-length", "3"}}), false));
  auto stream = session_.accept();
  ASSERT_TRUE(stream);
  send(frame(NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 5, "abcd"));
  EXPECT_TRUE(stream->broken()) << "the length holds all the same";
}

TEST_F(HostileClientTest, AFloodOfContinuationsEndsTheConnection) {
  send(frame(NGHTTP2_HEADERS, 0, 1, block(kGet)));
  int frames = 0;
  while (frames < 100'000 && send(frame(NGHTTP2_CONTINUATION, 0, 1, block({{"a", "b"}})))) ++frames;
  EXPECT_LT(frames, 2100);
  EXPECT_FALSE(session_.why().empty());
}

TEST_F(HostileClientTest, RapidResetsEndTheConnection) {
  std::string code("\0\0\0\x8", 4);
  uint32_t id = 1;
  while (id < 200'000 && send(headers(id, kGet) + frame(NGHTTP2_RST_STREAM, 0, id, code))) id += 2;
  EXPECT_LT(id / 2, 210u);
  EXPECT_FALSE(session_.accept());
  EXPECT_EQ(session_.why(), "too many streams were reset");
}

TEST_F(HostileClientTest, ResetStreamsThatTheGuardStillServesCount) {
  std::string code("\0\0\0\x8", 4);
  std::vector<std::shared_ptr<Stream>> busy;
  for (uint32_t id = 1; id < 1000; id += 2) {
    now_ += 100;  // slowly enough not to be a flood
    send(headers(id, kGet));
    if (auto stream = session_.accept()) busy.push_back(stream);
    send(frame(NGHTTP2_RST_STREAM, 0, id, code));
  }
  EXPECT_EQ(busy.size(), 2 * kMostStreams);
}

TEST_F(HostileClientTest, MoreStreamsThanAnnouncedAreRefused) {
  for (uint32_t id = 1; id < 400; id += 2) send(headers(id, kGet));
  size_t served = 0;
  while (session_.accept()) ++served;
  EXPECT_EQ(served, kMostStreams);
}

TEST_F(HostileClientTest, FramesThatCarryNothingEndTheConnection) {
  const std::pair<const char*, std::string> kFloods[] = {
      {"PING", frame(NGHTTP2_PING, 0, 0, "12345678")},
      {"SETTINGS", frame(NGHTTP2_SETTINGS, 0, 0, "")},
      {"PRIORITY", frame(NGHTTP2_PRIORITY, 0, 5, std::string("\0\0\0\0\x10", 5))},
      {"WINDOW_UPDATE", frame(NGHTTP2_WINDOW_UPDATE, 0, 0, std::string("\0\0\0\x1", 4))},
  };
  for (const auto& [what, each] : kFloods) {
    Session session(Role::server);
    std::string bytes(NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN), out;
    session.receive(bytes + frame(4, 0, 0, ""), 0);
    int frames = 0;
    while (frames < 100'000 && session.receive(each, 0)) {
      out.clear();
      session.transmit(out, 1 << 20);
      ++frames;
    }
    EXPECT_LT(frames, 2100) << what;
    EXPECT_EQ(session.why(), "too many frames without data arrived") << what;
  }
}

// Programs in Go send a WINDOW_UPDATE for the stream, and one for the connection, after each read of 4096 bytes.
std::string updates_after_each_read(uint32_t id, size_t bytes) {
  constexpr size_t kRead = 4096;
  const std::string increment("\0\0\x10\0", 4);
  std::string out;
  for (size_t at = 0; at + kRead <= bytes; at += kRead)
    out += frame(NGHTTP2_WINDOW_UPDATE, 0, id, increment) + frame(NGHTTP2_WINDOW_UPDATE, 0, 0, increment);
  return out;
}

// Returns the size of the payload of all DATA frames in `bytes`.
size_t data_in(std::string_view bytes) {
  size_t sum = 0;
  auto byte = [&](size_t at) { return static_cast<uint8_t>(bytes[at]); };
  for (constexpr size_t kHead = 9; bytes.size() >= kHead;) {
    size_t length = size_t{byte(0)} << 16 | size_t{byte(1)} << 8 | byte(2);
    if (byte(3) == NGHTTP2_DATA) sum += length;
    bytes.remove_prefix(std::min(bytes.size(), kHead + length));
  }
  return sum;
}

// Sends a large message to a peer that reads in small pieces. Returns how much of it the session had sent when it ended
// or stopped.
size_t sent_to_small_reads(Session& session, Stream& stream, uint32_t id, std::string_view head) {
  constexpr size_t kLarge = 20 << 20;
  const std::string piece(64 * 1024, 'x');
  stream.write(std::string(head) + "Content-Length: " + std::to_string(kLarge) + "\r\n\r\n");
  size_t written = 0, sent = 0, unread = 0;
  for (std::string out; sent < kLarge; out.clear()) {
    written += stream.write(std::string_view(piece).substr(0, kLarge - written));
    session.transmit(out, 1 << 20);
    size_t data = data_in(out);
    sent += data;
    unread += data;
    if (data == 0 || !session.receive(updates_after_each_read(id, unread), 0)) break;
    unread %= 4096;
  }
  return sent;
}

TEST_F(HostileClientTest, OneThatReadsInSmallPiecesGetsALargeAnswer) {
  now_ = 0;
  send(headers(1, kGet));
  auto stream = session_.accept();
  ASSERT_TRUE(stream);
  EXPECT_EQ(sent_to_small_reads(session_, *stream, 1, "HTTP/1.1 200 OK\r\n"), size_t{20} << 20) << session_.why();
}

TEST(HostileServerTest, OneThatReadsInSmallPiecesGetsALargeRequest) {
  Session session(Role::client);
  auto stream = session.open();
  std::string preface;
  session.transmit(preface, 1 << 20);
  session.receive(frame(4, 0, 0, ""), 0);
  EXPECT_EQ(sent_to_small_reads(session, *stream, 1, "POST / HTTP/1.1\r\nHost: a.test\r\n"), size_t{20} << 20)
      << session.why();
}

TEST_F(HostileClientTest, EmptyDataEndsTheConnection) {
  send(headers(1, kGet, false));
  int frames = 0;
  while (frames < 100'000 && send(frame(NGHTTP2_DATA, 0, 1, ""))) ++frames;
  EXPECT_LT(frames, 2100);
}

TEST_F(HostileClientTest, DataThatIsOnlyPaddingEndsTheConnection) {
  send(headers(1, kGet, false));
  int frames = 0;
  while (frames < 10'000 && send(frame(NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, 1, std::string("\x2\0\0", 3)))) ++frames;
  EXPECT_LT(frames, 2100);
  EXPECT_EQ(session_.why(), "too many frames without data arrived");
}

TEST_F(HostileClientTest, DataInFramesOfOneByteTakesLittleMoreMemory) {
  send(headers(1, kGet, false));
  auto stream = session_.accept();
  ASSERT_TRUE(stream);
  std::string head = all_of(*stream), bytes;
  for (int i = 0; i < 30'000; ++i) bytes += frame(NGHTTP2_DATA, 0, 1, "x");
  EXPECT_TRUE(send(bytes));
  EXPECT_LE(stream->held(), 64u * 1024);
  EXPECT_TRUE(send(frame(NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, 1, std::string(5000, 'y'))));
  std::string text = all_of(*stream), payload;
  http::Body body(http::Body::Kind::chunked);
  EXPECT_TRUE(body.read(text, payload) && body.done());
  EXPECT_EQ(payload, std::string(30'000, 'x') + std::string(5000, 'y'));
}

// Checks that held answers are counted: a client that opens no window makes the guard hold them as long as the
// connection lasts.
TEST_F(HostileClientTest, MemoryOfStreamsIsCounted) {
  size_t held = 0;
  auto session = std::make_unique<Session>(Role::server, &held);
  size_t empty = held;
  session->receive(std::string(NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN) +
                       frame(NGHTTP2_SETTINGS, 0, 0, std::string("\0\x4\0\0\0\0", 6)) + headers(1, kGet),
                   0);
  auto stream = session->accept();
  ASSERT_TRUE(stream);
  EXPECT_GT(held, empty);
  stream->write("HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n" + std::string(60'000, 'x'));
  stream->drop();
  stream.reset();
  session->transmit(out_, 1 << 20);
  EXPECT_EQ(session->streams(), 1u);
  EXPECT_EQ(session->served(), 0u);
  EXPECT_GE(held, empty + 60'000);
  session.reset();
  EXPECT_EQ(held, 0u);
}

TEST_F(HostileClientTest, PingsThatAreNotReadAreBounded) {
  int frames = 0;
  std::string ping = frame(NGHTTP2_PING, 0, 0, "12345678");
  while (frames < 100'000 && session_.receive(ping, now_)) ++frames;
  EXPECT_LE(frames, 200);
}

TEST_F(HostileClientTest, AFewBytesThatBecomeAHugeHeadEndTheConnection) {
  // Puts one large field into the table, and then refers to it again and again with one byte each.
  std::string bomb;
  bomb += '\x40';
  bomb += std::string("\x01z\x7f\xa1\x1e", 5);  // the name "z", a value of 4000 bytes
  bomb.append(4000, 'x');
  std::string whole = block(kGet) + bomb + std::string(14'000, '\xbe');
  send(frame(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM | NGHTTP2_FLAG_END_HEADERS, 1, whole.substr(0, 16'000)));
  EXPECT_FALSE(session_.accept());
  EXPECT_EQ(session_.why(), "a head is too large");
}

TEST_F(HostileClientTest, AStreamThatWasSkippedCannotBeOpened) {
  EXPECT_TRUE(served(headers(5, kGet)));
  EXPECT_FALSE(served(headers(3, kGet)));
  EXPECT_EQ(session_.why(), "the number of a new stream is not above that of earlier ones");
}

TEST_F(HostileClientTest, AWindowThatGrowsByNothingEndsTheConnection) {
  EXPECT_TRUE(send(headers(1, kGet, false)));
  EXPECT_FALSE(send(frame(NGHTTP2_WINDOW_UPDATE, 0, 1, std::string(4, '\0'))));
  EXPECT_FALSE(session_.why().empty());
}

// Checks that a stream whose client accepts no data holds no more than its limit.
TEST_F(HostileClientTest, AStreamWithAnEmptyWindowTakesLittleMemory) {
  send(frame(NGHTTP2_SETTINGS, 0, 0, std::string("\0\x4\0\0\0\0", 6)));
  send(headers(1, kGet));
  auto stream = session_.accept();
  ASSERT_TRUE(stream);
  stream->write("HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n");
  std::string piece(10'000, 'x');
  size_t taken = 0;
  for (size_t n; (n = stream->write(piece)) > 0; taken += n) send("");
  EXPECT_LE(taken, 64u << 10);
  EXPECT_LT(stream->held(), 160u << 10);
}

TEST_F(HostileClientTest, AWindowThatOverflowsIsAnError) {
  send(headers(1, kGet, false));
  auto stream = session_.accept();
  for (int i = 0; i < 2; ++i) send(frame(NGHTTP2_WINDOW_UPDATE, 0, 1, std::string("\x7f\xff\xff\xff", 4)));
  EXPECT_TRUE(stream->broken());
}

TEST_F(HostileClientTest, OtherProtocolsAreAnError) {
  Session session(Role::server);
  session.receive("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", 0);
  EXPECT_TRUE(session.over());
}

TEST(HostileServerTest, EndlessInterimAnswersAreCutOff) {
  Session session(Role::client);
  auto stream = session.open();
  stream->write("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  std::string out;
  session.transmit(out, 1 << 20);
  session.receive(frame(4, 0, 0, ""), 0);
  std::string interim = headers(1, {{":status", "103"}, {"link", std::string(10'000, 'x')}}, false);
  for (int i = 0; i < 1000 && !stream->broken(); ++i) {
    session.receive(interim, 0);
    session.transmit(out, 1 << 24);
  }
  EXPECT_TRUE(stream->broken());
  EXPECT_LT(stream->held(), 1u << 20);
}

// Some servers send such values, and most clients accept them.
TEST(HostileServerTest, SpacesAroundAValueAreRemoved) {
  Session session(Role::client);
  auto stream = session.open();
  stream->write("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  std::string out;
  session.transmit(out, 1 << 20);
  session.receive(frame(4, 0, 0, "") +
                      headers(1, {{":status", "200"}, {"a", "b "}, {"c", " \td e\t"}, {"f", " "}}, false) +
                      headers(1, {{"g", " h "}}),
                  0);
  EXPECT_EQ(all_of(*stream),
            "HTTP/1.1 200 \r\na: b\r\nc: d e\r\nf: \r\nTransfer-Encoding: chunked\r\n\r\n0\r\ng: h\r\n\r\n");
}

// nghttp2 itself reads these values, and resets the stream.
TEST(HostileServerTest, SpacesAroundANumberAreAFault) {
  for (const Fields& fields : {Fields{{":status", "200"}, {"content-length", "5 "}},
                               Fields{{":status", "200"}, {"content-length", " 5"}}, Fields{{":status", "200 "}}}) {
    Session session(Role::client);
    auto stream = session.open();
    stream->write("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    std::string out;
    session.transmit(out, 1 << 20);
    session.receive(frame(4, 0, 0, "") + headers(1, fields, false), 0);
    session.transmit(out, 1 << 20);
    EXPECT_TRUE(stream->broken());
    EXPECT_FALSE(stream->fault().empty()) << fields.back().name;
  }
}

TEST(HostileServerTest, ItsFaultIsTheReasonForAllRequests) {
  auto session = std::make_unique<Session>(Role::client);
  auto sent = session->open(), waiting = session->open();
  sent->write("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  std::string out, pings;
  session->transmit(out, 1 << 20);
  for (int i = 0; i < 3000; ++i) pings += frame(NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, "12345678");
  EXPECT_FALSE(session->receive(frame(4, 0, 0, "") + pings, 0));
  session.reset();
  EXPECT_EQ(sent->fault(), "too many frames without data arrived");
  EXPECT_TRUE(waiting->refused() && waiting->fault().empty()) << "it can be sent again";
}

TEST(HostileServerTest, MalformedAnswersAreCutOff) {
  for (const Fields& fields :
       {Fields{{":status", "101"}}, Fields{{":status", "20"}}, Fields{{"a", "b"}},
        Fields{{":status", "200"}, {"connection", "close"}}, Fields{{":status", "200"}, {"a", "b\nc"}}}) {
    Session session(Role::client);
    auto stream = session.open();
    stream->write("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    std::string out;
    session.transmit(out, 1 << 20);
    session.receive(frame(4, 0, 0, "") + headers(1, fields), 0);
    session.transmit(out, 1 << 20);
    EXPECT_TRUE(stream->broken()) << fields[0].value;
  }
}

}  // namespace
}  // namespace bottle::guard::h2
