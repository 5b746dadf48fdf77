// Tests of HTTP/2 on both sides of the guard: h2::Session is the client and the server, over real TLS.
#include <netinet/tcp.h>

#include "guard/h2/session.h"
#include "guard/http2_link.h"
#include "guard/program/guard_test.h"
#include "scan/rule_examples.h"

namespace bottle::guard {
namespace {

int64_t now_ms() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000 + t.tv_nsec / 1'000'000;
}

void append_text(h2::Stream& stream, std::string& to) {
  char buffer[16384];
  for (size_t n; (n = stream.read(buffer, sizeof buffer)) > 0;) to.append(buffer, n);
}

// Returns a frame that h2::Session would not send.
std::string frame(uint8_t type, uint8_t flags, uint32_t id, std::string_view payload) {
  std::string out;
  for (int shift : {16, 8, 0}) out += static_cast<char>(payload.size() >> shift);
  out += {static_cast<char>(type), static_cast<char>(flags)};
  for (int shift : {24, 16, 8, 0}) out += static_cast<char>(id >> shift);
  return out.append(payload);
}
constexpr uint8_t kData = 0, kHeaders = 1, kSettings = 4, kGoAway = 7;  // frame types
constexpr uint8_t kEndHeaders = 4;                                      // a frame flag

std::string block(std::initializer_list<std::pair<std::string_view, std::string_view>> fields) {
  std::string out;
  for (const auto& [name, value] : fields)
    out.append(1, '\0')
        .append(1, static_cast<char>(name.size()))
        .append(name)
        .append(1, static_cast<char>(value.size()))
        .append(value);
  return out;
}

// A client or a server on a blocking connection.
struct Peer {
  explicit Peer(Wire w, h2::Role role) : wire(std::move(w)), session(role) {}
  Wire wire;
  h2::Session session;

  bool flush() {
    std::string out;
    while (session.transmit(out, 1 << 16)) {
      if (!wire.write(out)) return false;
      out.clear();
    }
    return true;
  }
  // Blocks until bytes arrive, and takes them. Returns false at the end of the connection.
  bool more() {
    if (!flush() || session.over() || !wire.more()) return false;
    session.receive(wire.in, now_ms());
    wire.in.clear();
    return flush();
  }
  // Sends a request and returns its stream.
  std::shared_ptr<h2::Stream> ask(std::string_view text) {
    auto stream = session.open();
    stream->write(text);
    EXPECT_TRUE(flush());
    return stream;
  }
  // Reads until the stream's text contains `end`, or until it ends.
  std::string read(h2::Stream& stream, std::string_view end = "\1never") {
    std::string text;
    while (true) {
      append_text(stream, text);
      if (text.find(end) != text.npos || stream.ended() || stream.broken()) return text;
      if (!more()) return text + "<connection ended>";
    }
  }
  std::string fetch(std::string_view text) { return read(*ask(text)); }
};

// An HTTP/2 server. `answer` gets the text of a request when all of it has arrived, and returns the text of the answer.
// If `answer_head` is set, it gets the head of each request as soon as it has arrived, and what it returns is sent at
// once.
class Http2Origin {
 public:
  using Answer = std::function<std::string(const std::string& request)>;
  Http2Origin(SessionCa* ca, std::string host, Answer answer, Answer answer_head = {})
      : ca_(ca), host_(std::move(host)), answer_(std::move(answer)), answer_head_(std::move(answer_head)) {
    fd_ = listen_on_loopback(port);
    thread_ = std::thread([this] {
      for (int fd; (fd = accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) {
        ++accepted;
        accepted.notify_all();
        hold.wait(true);
        Wire wire{UniqueFd(fd), {}, {}};
        timeval t{3, 0};
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
        wire.ssl = std::move(*ca_->accept({host_, false}, Offer::http2));
        SSL_set_fd(wire.ssl.get(), fd);
        if (SSL_accept(wire.ssl.get()) == 1) serve(std::move(wire));
      }
    });
  }
  ~Http2Origin() {
    shutdown(fd_.get(), SHUT_RDWR);
    release();
    thread_.join();
  }
  void release() {
    hold = false;
    hold.notify_all();
  }
  uint16_t port = 0;
  std::atomic<int> accepted = 0, served = 0;
  std::atomic<bool> hold = false;  // makes accepted connections wait for release() before their handshake

 private:
  struct Work {
    std::shared_ptr<h2::Stream> stream;
    std::string text;
    bool head_answered = false, answered = false;
  };
  void serve(Wire wire) {
    Peer peer(std::move(wire), h2::Role::server);
    std::vector<Work> all;
    while (peer.more()) {
      while (auto stream = peer.session.accept()) all.push_back({std::move(stream), {}});
      for (auto& work : all) {
        if (work.answered || work.stream->broken()) continue;
        append_text(*work.stream, work.text);
        if (answer_head_ && !std::exchange(work.head_answered, true)) work.stream->write(answer_head_(work.text));
        if (!work.stream->ended()) continue;
        work.answered = true;
        ++served;
        work.stream->write(answer_(work.text));
      }
      peer.flush();
    }
  }
  SessionCa* ca_;
  std::string host_;
  Answer answer_, answer_head_;
  UniqueFd fd_;
  std::thread thread_;
};

class Http2Test : public GuardTest {
 protected:
  Peer client(const std::string& host, Offer offer = Offer::http1_and_2) {
    Wire wire = connect_to(host);
    wire.ssl = std::move(*connect_tls(roots_.get(), {host, false}, 443, offer));
    SSL_set_fd(wire.ssl.get(), wire.fd.get());
    EXPECT_EQ(SSL_connect(wire.ssl.get()), 1);
    EXPECT_TRUE(speaks_http2(wire.ssl.get()));
    return Peer(std::move(wire), h2::Role::client);
  }
  void inspect(const std::string& host, uint16_t port, json rule = json::object()) {
    rule["host"] = host;
    rule["inspect"] = true;
    allow(rule);
    route(host, port);
    start();
  }
};

const std::string kGet = "GET /a HTTP/1.1\r\nHost: a.test\r\n\r\n";

TEST_F(Http2Test, GoesToAServerOfHttp1) {
  Origin origin(ca_.get(), "a.test", [](const std::string&) { return ok("hello"); });
  inspect("a.test", origin.port);
  Peer peer = client("a.test");
  EXPECT_EQ(peer.fetch(kGet), "HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello");
  EXPECT_EQ(peer.fetch(kGet), "HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello");
  EXPECT_EQ(origin.accepted, 1) << "the second request takes the connection of the first";
  EXPECT_EQ(audited("allowed")["path"], "/a");
}

TEST_F(Http2Test, GoesToAServerOfHttp2OnOneConnection) {
  Http2Origin origin(ca_.get(), "a.test", [](const std::string& request) {
    return ok(std::to_string(request.find("POST /a HTTP/1.1\r\nHost: a.test\r\n")));
  });
  inspect("a.test", origin.port);
  Peer peer = client("a.test");
  std::vector<std::shared_ptr<h2::Stream>> streams;
  for (int i = 0; i < 20; ++i)
    streams.push_back(peer.ask("POST /a HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabc"));
  for (auto& each : streams) EXPECT_TRUE(peer.read(*each).ends_with("\r\n\r\n0"));
  EXPECT_EQ(origin.accepted, 1);
}

TEST_F(Http2Test, TheRulesApplyToEachRequest) {
  Http2Origin origin(ca_.get(), "a.test", [](const std::string&) { return ok("hello"); });
  inspect("a.test", origin.port, {{"methods", {"GET"}}, {"paths", {"/a/**"}}});
  Peer peer = client("a.test");
  EXPECT_TRUE(peer.fetch("GET /a/b HTTP/1.1\r\nHost: a.test\r\n\r\n").ends_with("hello"));
  for (const char* bad :
       {"GET /b HTTP/1.1\r\nHost: a.test\r\n\r\n", "DELETE /a/b HTTP/1.1\r\nHost: a.test\r\n\r\n",
        "GET /a/../b HTTP/1.1\r\nHost: a.test\r\n\r\n", "GET /a/b HTTP/1.1\r\nHost: b.test\r\n\r\n"}) {
    std::string answer = peer.fetch(bad);
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 403 ")) << bad << answer;
    EXPECT_NE(answer.find("x-bottle-deny: "), answer.npos);
  }
  EXPECT_EQ(origin.served, 1);
  config_["egress"]["allow"][0]["deny"] = true;
  config_["egress"]["allow"][0].erase("methods");
  config_["egress"]["allow"][0].erase("paths");
  config_["egress"]["allow"][0].erase("inspect");
  EXPECT_EQ(configure()["type"], "ready");
  EXPECT_TRUE(peer.fetch("GET /a/b HTTP/1.1\r\nHost: a.test\r\n\r\n").starts_with("HTTP/1.1 403 "));
}

TEST_F(Http2Test, SecretsArePutInAndRefused) {
  Http2Origin origin(ca_.get(), "a.test", [](const std::string& request) {
    return ok(request.find(std::string("authorization: Bearer ") + kValue) != request.npos ? "with" : "without");
  });
  bind_secret("a.test");
  inspect("a.test", origin.port);
  Peer peer = client("a.test");
  std::string head = "POST /a HTTP/1.1\r\nHost: a.test\r\n",
              bearer = std::string("Authorization: Bearer ") + kPlaceholder;
  EXPECT_TRUE(peer.fetch(head + bearer + "\r\n\r\n").ends_with("with"));
  // The placeholder belongs in Authorization only.
  std::string in_header = peer.fetch(head + "X-Other: " + kPlaceholder + "\r\n\r\n");
  EXPECT_TRUE(in_header.starts_with("HTTP/1.1 403 ")) << in_header;
  std::string in_body = peer.fetch(head + "Transfer-Encoding: chunked\r\n\r\n16\r\n" + kPlaceholder + "\r\n0\r\n\r\n");
  EXPECT_TRUE(in_body.starts_with("HTTP/1.1 403 ")) << in_body;
  std::string in_trailer =
      peer.fetch(head + "Transfer-Encoding: chunked\r\n\r\n0\r\nX-T: " + kPlaceholder + "\r\n\r\n");
  EXPECT_TRUE(in_trailer.starts_with("HTTP/1.1 403 ")) << in_trailer;
  EXPECT_EQ(origin.served, 1);
}

TEST_F(Http2Test, TheValueIsRefusedAtOtherHosts) {
  Http2Origin origin(ca_.get(), "b.test", [](const std::string&) { return ok("hello"); });
  bind_secret("a.test");
  inspect("b.test", origin.port);
  Peer peer = client("b.test");
  std::string answer = peer.fetch("GET /a HTTP/1.1\r\nHost: b.test\r\nX-Other: " + std::string(kValue) + "\r\n\r\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 403 ")) << answer;
  std::string body = std::string("x=") + kValue;
  answer = peer.fetch("POST /a HTTP/1.1\r\nHost: b.test\r\nContent-Length: " + std::to_string(body.size()) +
                      "\r\n\r\n" + body);
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 403 ")) << answer;
  EXPECT_EQ(origin.served, 0);
}

// Checks what gRPC needs: the answer begins before the request has ended, the messages of each side pass at once, and
// the status arrives in a trailer.
TEST_F(Http2Test, BothBodiesStreamAtTheSameTimeAndTrailersPass) {
  Http2Origin origin(
      ca_.get(), "a.test", [](const std::string&) { return "2\r\nhi\r\n0\r\ngrpc-status: 0\r\n\r\n"; },
      [](const std::string&) {
        return "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n";
      });
  inspect("a.test", origin.port);
  Peer peer = client("a.test");
  auto stream = peer.ask(
      "POST /s/m HTTP/1.1\r\nHost: a.test\r\nConnection: TE\r\nTE: trailers\r\nTransfer-Encoding: "
      "chunked\r\n\r\n3\r\nabc\r\n");
  EXPECT_NE(peer.read(*stream, "first\r\n").find("5\r\nfirst\r\n"), std::string::npos);
  stream->write("3\r\ndef\r\n0\r\n\r\n");
  EXPECT_EQ(peer.read(*stream), "2\r\nhi\r\n0\r\ngrpc-status: 0\r\n\r\n");
}

TEST_F(Http2Test, ALargeUploadPasses) {
  std::string large(3 << 20, 'x');
  Http2Origin origin(ca_.get(), "a.test",
                     [&](const std::string& request) { return ok(std::to_string(request.size())); });
  inspect("a.test", origin.port);
  Peer peer = client("a.test");
  auto stream =
      peer.ask("POST /a HTTP/1.1\r\nHost: a.test\r\nContent-Length: " + std::to_string(large.size()) + "\r\n\r\n");
  for (size_t at = 0; at < large.size();) {
    at += stream->write(std::string_view(large).substr(at));
    ASSERT_TRUE(stream->has_room() ? peer.flush() : peer.more());
  }
  std::string answer = peer.read(*stream);
  size_t received = std::stoul(answer.substr(answer.rfind('\n') + 1));
  EXPECT_GT(received, large.size());
  EXPECT_LT(received, large.size() + 1000);
}

TEST_F(Http2Test, AServerThatResetsAStreamEndsOnlyThatOne) {
  Http2Origin origin(ca_.get(), "a.test", [](const std::string& request) {
    // The answer is shorter than its length, so the server resets the stream when it drops it.
    return request.starts_with("GET /bad ") ? std::string("HTTP/1.1 204 X\r\nbad\r\n\r\n") : ok("hello");
  });
  inspect("a.test", origin.port);
  Peer peer = client("a.test");
  EXPECT_TRUE(peer.fetch("GET /bad HTTP/1.1\r\nHost: a.test\r\n\r\n").starts_with("HTTP/1.1 502 "));
  EXPECT_TRUE(peer.fetch(kGet).ends_with("hello"));
}

TEST_F(Http2Test, AClientOfHttp1GetsItsAnswersFromTheSameServer) {
  Origin origin(ca_.get(), "a.test", [](const std::string&) { return ok("hello"); });
  inspect("a.test", origin.port);
  Wire wire = secure("a.test");
  wire.write(kGet);
  EXPECT_EQ(body_of(wire.message()), "hello");
}

TEST_F(Http2Test, AClientOfHttp1ReachesAServerOfHttp2Alone) {
  Http2Origin origin(ca_.get(), "a.test",
                     [](const std::string& request) { return ok(request.substr(0, request.find('\r'))); });
  inspect("a.test", origin.port);
  Wire wire = secure("a.test");
  wire.write(kGet);
  EXPECT_EQ(body_of(wire.message()), "GET /a HTTP/1.1");
  wire.write("POST /b HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabc");
  EXPECT_EQ(body_of(wire.message()), "POST /b HTTP/1.1");
  EXPECT_EQ(origin.accepted, 2) << "one that speaks HTTP/2, after one that could not agree on a protocol";
}

TEST_F(Http2Test, CanBeSwitchedOff) {
  Http2Origin origin(ca_.get(), "a.test", [](const std::string&) { return ok("hello"); });
  Origin old(ca_.get(), "b.test", [](const std::string&) { return ok("hello"); });
  config_["egress"]["http2"] = false;
  route("b.test", old.port);
  allow({{"host", "b.test"}, {"inspect", true}});
  inspect("a.test", origin.port);
  Wire wire = connect_to("b.test");
  wire.ssl = std::move(*connect_tls(roots_.get(), {"b.test", false}, 443, Offer::http1_and_2));
  SSL_set_fd(wire.ssl.get(), wire.fd.get());
  ASSERT_EQ(SSL_connect(wire.ssl.get()), 1);
  EXPECT_FALSE(speaks_http2(wire.ssl.get()));
  wire.write("GET /a HTTP/1.1\r\nHost: b.test\r\n\r\n");
  EXPECT_EQ(body_of(wire.message()), "hello");
  Wire other = secure("a.test");
  other.write(kGet);
  EXPECT_TRUE(other.message().starts_with("HTTP/1.1 502 ")) << "the server speaks HTTP/2 alone";
}

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
  EXPECT_EQ(audited("bad_request")["reason"], "a head that is too large");
  EXPECT_TRUE(peer.fetch("GET /large HTTP/1.1\r\nHost: a.test\r\n\r\n").starts_with("HTTP/1.1 502 "));
  EXPECT_EQ(audited("bad_answer")["reason"], "the upstream's answer: a head that is too large");
  EXPECT_TRUE(peer.fetch(kGet).ends_with("hello"));
}

TEST_F(Http2Test, RangesInterimAnswersAndEventsPass) {
  Http2Origin origin(
      ca_.get(), "a.test",
      [](const std::string& request) {
        if (request.starts_with("GET /range "))
          return "HTTP/1.1 206 Partial Content\r\nContent-Range: " +
                 std::string("bytes 5-6/9\r\nContent-Length: 2\r\n\r\n") +
                 (request.find("range: bytes=5-6\r\n") != request.npos ? "ok" : "no");
        return request.starts_with("POST /events ") ? std::string("9\r\ndata: 2\n\n\r\n0\r\n\r\n") : ok("hello");
      },
      [](const std::string& request) -> std::string {
        if (request.starts_with("GET ")) return "";
        if (request.find("expect: 100-continue\r\n") != request.npos) return "HTTP/1.1 100 Continue\r\n\r\n";
        return "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: "
               "chunked\r\n\r\n9\r\ndata: 1\n\n\r\n";
      });
  inspect("a.test", origin.port);
  Peer peer = client("a.test");
  std::string part = peer.fetch("GET /range HTTP/1.1\r\nHost: a.test\r\nRange: bytes=5-6\r\n\r\n");
  EXPECT_TRUE(part.starts_with("HTTP/1.1 206 ")) << part;
  EXPECT_NE(part.find("content-range: bytes 5-6/9\r\n"), part.npos) << part;
  EXPECT_TRUE(part.ends_with("\r\n\r\nok")) << part;
  std::string post = " HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n";
  auto asking = peer.ask("POST /a" + post + "Expect: 100-continue\r\n\r\n");
  EXPECT_EQ(peer.read(*asking, "\r\n\r\n"), "HTTP/1.1 100 \r\n\r\n");
  asking->write("abc");
  EXPECT_TRUE(peer.read(*asking).ends_with("hello"));
  auto events = peer.ask("POST /events" + post + "\r\n");
  EXPECT_NE(peer.read(*events, "data: 1\n\n").find("text/event-stream"), std::string::npos)
      << "the first event passes before the answer ends";
  events->write("abc");
  EXPECT_EQ(peer.read(*events), "9\r\ndata: 2\n\n\r\n0\r\n\r\n");
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
  EXPECT_TRUE(peer.fetch(kGet).ends_with("hello"));  // all frames arrive at once
  for (int i = 0; i < 3; ++i) EXPECT_EQ(audited("bad_request")["action"], "deny") << i;
}

TEST_F(Http2Test, ASecretInCrumbsOfACookieIsRefused) {
  Http2Origin origin(ca_.get(), "a.test", [](const std::string&) { return ok("hello"); });
  inspect("a.test", origin.port);
  Peer peer = client("a.test");
  const std::string token = scan::filled("ghp_<alnum 36>", 7), head = "GET /a HTTP/1.1\r\nHost: a.test\r\n";
  std::string first = token.substr(0, 20), second = token.substr(20);
  for (const std::string& cookies :
       {"Cookie: a=" + first + "\r\nCookie: b=" + second, "Cookie: " + first + "\r\nCookie: " + second}) {
    std::string answer = peer.fetch(head + cookies + "\r\n\r\n");
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 403 ")) << cookies << "\n" << answer;
  }
  EXPECT_EQ(origin.served, 0);
}

TEST_F(Http2Test, LongTrailersPass) {
  std::string details(5000, 'd');
  Http2Origin origin(ca_.get(), "a.test", [&](const std::string&) {
    return "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n"
           "0\r\ngrpc-status-details-bin: " +
           details + "\r\n\r\n";
  });
  inspect("a.test", origin.port);
  std::string answer = client("a.test").fetch(kGet);
  EXPECT_TRUE(answer.ends_with("0\r\ngrpc-status-details-bin: " + details + "\r\n\r\n")) << answer.substr(0, 500);
}

TEST_F(Http2Test, AServerThatTakesNoRequestsIsReported) {
  uint16_t port = 0;
  UniqueFd listener = listen_on_loopback(port);
  std::thread server([&] {
    Wire wire{UniqueFd(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)), {}, {}};
    timeval patience{5, 0};
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
  });
  inspect("a.test", port);
  Peer peer = client("a.test");
  EXPECT_TRUE(peer.fetch(kGet).starts_with("HTTP/1.1 502 "));
  server.join();
}

TEST_F(Http2Test, AConnectionOfOldRulesServesNoLaterRequest) {
  Http2Origin before(ca_.get(), "a.test", [](const std::string&) { return ok("before"); });
  Http2Origin after(ca_.get(), "a.test", [](const std::string&) { return ok("after"); });
  before.hold = true;
  inspect("a.test", before.port);
  Peer peer = client("a.test");
  auto first = peer.ask(kGet);
  before.accepted.wait(0);
  audited("allowed");
  route("a.test", after.port);
  EXPECT_EQ(configure()["type"], "ready");
  auto second = peer.ask(kGet);
  audited("allowed");  // it now waits for the connection that the first request opens
  before.release();
  EXPECT_TRUE(peer.read(*second).ends_with("after"));
  EXPECT_TRUE(peer.read(*first).ends_with("before"));
}

TEST_F(Http2Test, AHeadThatNeverEndsIsNotWaitedFor) {
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
TEST_F(Http2Test, WhatWaitsForTheServerIsBounded) {
  uint16_t port = 0;
  UniqueFd silent = listen_on_loopback(port);  // accepts connections and sends nothing
  inspect("a.test", port);
  std::string bytes = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(kSettings, 0, 0, ""), piece(16'000, 'x');
  std::string head = block({{":method", "POST"}, {":scheme", "https"}, {":authority", "a.test"}, {":path", "/"}});
  for (uint32_t id = 1; id < 200; id += 2) {
    bytes += frame(kHeaders, kEndHeaders, id, head);
    for (int i = 0; i < 4; ++i) bytes += frame(kData, 0, id, piece);
  }
  std::vector<Wire> wires;
  for (int i = 0; i < 40; ++i) {
    wires.push_back(std::move(client("a.test").wire));
    int little = 16 * 1024;  // so that what was written is not buffered in the kernel
    setsockopt(wires.back().fd.get(), SOL_SOCKET, SO_SNDBUF, &little, sizeof little);
  }
  for (Wire& wire : wires) wire.write(bytes);
  EXPECT_LT(most_resident(), kMostMemory) << "256 MB arrived";
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
    stream.source->readable = true;
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

}  // namespace
}  // namespace bottle::guard
