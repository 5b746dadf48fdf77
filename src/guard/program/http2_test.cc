// Checks that requests and answers pass over HTTP/2, under the same rules as over HTTP/1.1.
#include "guard/program/http2_test.h"

#include <future>

#include "scan/content/compress_test.h"
#include "scan/rule_examples.h"

namespace bottle::guard {
namespace {

TEST_F(Http2Test, GoesToAServerOfHttp1) {
  Origin origin(ca_.get(), "a.test", [](const std::string&) { return ok("hello"); });
  inspect("a.test", origin.port);
  Peer peer = client("a.test");
  EXPECT_EQ(peer.fetch(kGet), "HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello");
  EXPECT_EQ(peer.fetch(kGet), "HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello");
  EXPECT_EQ(origin.accepted, 1) << "the second request takes the connection of the first";
  EXPECT_EQ(audited("allowed")["path"], "/a");
}

TEST_F(Http2Test, ACredentialIsRefusedAsTheMethod) {
  Origin origin(ca_.get(), "a.test", [](const std::string&) { return ok("hello"); });
  inspect("a.test", origin.port);
  Peer peer = client("a.test");
  std::string key = scan::filled("AKIA<BASE32 16>", 7);
  EXPECT_NE(peer.fetch(key + " /a HTTP/1.1\r\nHost: a.test\r\n\r\n").find("x-bottle-deny: secret"), std::string::npos);
  EXPECT_EQ(audited("secret").value("method", ""), std::string(key.size(), '*'));
  EXPECT_EQ(origin.last(), "");
}

// Ends a connection with a FIN, without a close_notify of TLS before it.
void end_unannounced(TestPeer& wire) {
  ::shutdown(wire.fd.get(), SHUT_WR);
  wire.more();
}

TEST_F(Http2Test, AnAnswerMayEndWithItsConnection) {
  RawOrigin origin(
      ca_.get(), "a.test",
      [](TestPeer& wire, const std::string& head) {
        wire.write(head.starts_with("GET /cut ") ? "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"
                                                 : "HTTP/1.0 200 OK\r\n\r\nhello");
        end_unannounced(wire);
      },
      RawOrigin::After::head);
  inspect("a.test", origin.port);
  Peer peer = client("a.test");
  auto whole = peer.ask(kGet), cut = peer.ask("GET /cut HTTP/1.1\r\nHost: a.test\r\n\r\n");
  EXPECT_TRUE(body_of(peer.read(*whole)).find("hello") != std::string::npos);
  EXPECT_TRUE(whole->ended() && !whole->broken());
  peer.read(*cut);
  EXPECT_TRUE(cut->broken()) << "its length says that more belongs to it";
}

// A server may close a kept connection just when it gets the next request. A client that speaks HTTP/1.1 sees the end
// of its own connection, and can send a POST again. A client of a stream cannot know that the request was not
// processed.
TEST_F(Http2Test, ARequestThatMustNotBeSentTwiceUsesNoKeptConnection) {
  RawOrigin origin(ca_.get(), "a.test", [&](TestPeer& wire, const std::string&) {
    wire.write(ok("done"));
    if (wire.message().starts_with("GET ")) wire.write(ok("done"));
    ::shutdown(wire.fd.get(), SHUT_WR);
  });
  inspect("a.test", origin.port);
  Peer peer = client("a.test");
  const std::string post = "POST /a HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabc";
  for (const std::string& each : {post, kGet, post}) EXPECT_TRUE(peer.fetch(each).ends_with("done")) << each;
}

TEST_F(Http2Test, AConnectionWithMoreThanItsAnswerIsNotKept) {
  std::promise<bool> ends;
  RawOrigin origin(ca_.get(), "a.test", [&](TestPeer& wire, const std::string&) {
    BIO* records = BIO_new(BIO_s_mem());  // so that both arrive together
    SSL_set0_wbio(wire.ssl.get(), records);
    wire.write(ok("done"));
    wire.write("and more");
    char* bytes = nullptr;
    long size = BIO_get_mem_data(records, &bytes);
    EXPECT_TRUE(write_all(wire.fd.get(), {bytes, static_cast<size_t>(size)}));
    char rest[100];
    ssize_t n;
    while ((n = recv(wire.fd.get(), rest, sizeof rest, 0)) > 0) {
    }
    ends.set_value(n == 0);
  });
  inspect("a.test", origin.port);
  Peer peer = client("a.test");
  EXPECT_TRUE(peer.fetch(kGet).ends_with("done"));
  EXPECT_TRUE(ends.get_future().get()) << "while the client stays";
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

TEST_F(Http2Test, SecretsAreInsertedAndRefused) {
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

// The guard removes the coding on the way to the model, so it still works on the body when the stream has ended.
TEST_F(Http2Test, ACompressedBodyReachesTheModelHoweverItArrives) {
  std::string large = "{\"text\":\"" + std::string(3 << 20, 'x') + "\"}";
  Http2Origin origin(ca_.get(), "a.test",
                     [](const std::string& request) { return ok(std::to_string(body_of(request).size())); });
  config_["models"] = json::array({"a.test"});
  inspect("a.test", origin.port);
  for (const std::string& body : {std::string("{\"text\":\"x\"}"), large})
    for (size_t piece : {size_t{1000}, SIZE_MAX}) {
      std::string packed = scan::gzipped(body);
      Peer peer = client("a.test");
      auto stream = peer.ask("POST /a HTTP/1.1\r\nHost: a.test\r\nContent-Encoding: gzip\r\nContent-Length: " +
                             std::to_string(packed.size()) + "\r\n\r\n");
      for (std::string_view rest = packed; !rest.empty(); rest.remove_prefix(std::min(piece, rest.size()))) {
        stream->write(rest.substr(0, piece));
        ASSERT_TRUE(peer.flush());
      }
      EXPECT_EQ(body_of(peer.read(*stream)), std::to_string(body.size())) << "in pieces of " << piece;
    }
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
    ASSERT_TRUE(peer.flush());
    if (!stream->has_room()) ASSERT_TRUE(peer.more());  // the guard's window is full
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

// Serves one request on the first connection and refuses the next one. Serves all requests on the second connection.
void refuse_the_second(SessionCa& ca, UniqueFd listener, uint8_t type, std::string payload) {
  for (int connection = 1; connection <= 2; ++connection) {
    TestPeer wire{UniqueFd(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)), {}, {}};
    timeval patience{kPatienceMs / 1000, 0};
    setsockopt(wire.fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    wire.ssl = std::move(*ca.accept({"a.test", false}, Offer::http2));
    SSL_set_fd(wire.ssl.get(), wire.fd.get());
    if (SSL_accept(wire.ssl.get()) != 1) return;
    Peer peer(std::move(wire), h2::Role::server);
    for (int request = 1; peer.more();) {
      auto stream = peer.session.accept();
      if (!stream) continue;
      if (connection == 1 && request == 2) {
        peer.wire.write(h2::frame(type, 0, type == 3 ? 3 : 0, payload));
        ++request;
        continue;
      }
      while (!stream->ended() && !h2::all_of(*stream).ends_with("abc") && peer.more()) {
      }
      stream->write(ok(connection == 1 ? "old" : "new"));
      if (!peer.flush()) return;
      ++request;
    }
  }
}

TEST_F(Http2Test, ARefusedRequestIsSentAgainForEveryMethod) {
  const std::string goaway("\0\0\0\1\0\0\0\0", 8), refused("\0\0\0\7", 4);
  for (uint8_t type : {uint8_t{7}, uint8_t{3}}) {  // GOAWAY, RST_STREAM
    uint16_t port = 0;
    UniqueFd listener = listen_on_loopback(port);
    int fd = listener.get();
    std::thread server([&] { refuse_the_second(*ca_, std::move(listener), type, type == 7 ? goaway : refused); });
    config_["egress"]["allow"] = json::array();
    if (guard_) {
      allow({{"host", "a.test"}, {"inspect", true}});
      route("a.test", port);
      EXPECT_EQ(configure()["type"], "ready");
    } else {
      inspect("a.test", port);
    }
    {
      Peer peer = client("a.test");
      const std::string post = "POST /a HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabc";
      EXPECT_TRUE(peer.fetch(post).ends_with("old")) << int{type};
      EXPECT_TRUE(peer.fetch(post).ends_with(type == 7 ? "new" : "old")) << int{type};
    }
    shutdown(fd, SHUT_RDWR);
    server.join();
  }
}

TEST_F(Http2Test, AnIdleClientIsToldThatItsConnectionEnds) {
  Http2Origin origin(ca_.get(), "a.test", [](const std::string&) { return ok("hello"); });
  config_["egress"]["idle_seconds"] = 1;
  inspect("a.test", origin.port);
  Peer peer = client("a.test");
  EXPECT_TRUE(peer.fetch(kGet).ends_with("hello"));
  std::string last = peer.wire.to_end();
  EXPECT_NE(last.find(std::string("\7\0\0\0\0\0", 6)), last.npos) << "no GOAWAY in " << last.size() << " bytes";
}

TEST_F(Http2Test, AClientOfHttp1GetsItsAnswersFromTheSameServer) {
  Origin origin(ca_.get(), "a.test", [](const std::string&) { return ok("hello"); });
  inspect("a.test", origin.port);
  TestPeer wire = secure("a.test");
  wire.write(kGet);
  EXPECT_EQ(body_of(wire.message()), "hello");
}

TEST_F(Http2Test, AClientOfHttp1ReachesAServerThatSpeaksOnlyHttp2) {
  Http2Origin origin(ca_.get(), "a.test",
                     [](const std::string& request) { return ok(request.substr(0, request.find('\r'))); });
  inspect("a.test", origin.port);
  TestPeer wire = secure("a.test");
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
  TestPeer wire = connect_to("b.test");
  wire.ssl = std::move(*connect_tls(roots_.get(), {"b.test", false}, 443, Offer::http1_and_2));
  SSL_set_fd(wire.ssl.get(), wire.fd.get());
  ASSERT_EQ(SSL_connect(wire.ssl.get()), 1);
  EXPECT_FALSE(speaks_http2(wire.ssl.get()));
  wire.write("GET /a HTTP/1.1\r\nHost: b.test\r\n\r\n");
  EXPECT_EQ(body_of(wire.message()), "hello");
  TestPeer other = secure("a.test");
  other.write(kGet);
  EXPECT_TRUE(other.message().starts_with("HTTP/1.1 502 ")) << "the server speaks HTTP/2 alone";
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

TEST_F(Http2Test, AConnectionUnderOldRulesServesNoLaterRequest) {
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

}  // namespace
}  // namespace bottle::guard
