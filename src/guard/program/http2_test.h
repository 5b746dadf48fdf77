// Supports tests of HTTP/2 on both sides of the guard: h2::Session is the client and the server, over real
// TLS.
#pragma once

#include "guard/h2/frames_test.h"
#include "guard/h2/session.h"
#include "guard/program/guard_test.h"

namespace bottle::guard {

// Returns the time of a monotonic clock.
inline int64_t now_ms() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000 + t.tv_nsec / 1'000'000;
}

// A client or a server on a blocking connection.
struct Peer {
  explicit Peer(TestPeer w, h2::Role role) : wire(std::move(w)), session(role) {}
  TestPeer wire;
  h2::Session session;

  // Sends all that the session has to send. Returns false if the connection ended.
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
      text += h2::all_of(stream);
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
    port = listener_.port;
    thread_ = std::thread([this] {
      while (true) {
        TestPeer wire = listener_.accept();
        if (!wire.fd) return;
        ++accepted;
        accepted.notify_all();
        hold.wait(true);
        wire.ssl = std::move(*ca_->accept({host_, false}, Offer::http2));
        SSL_set_fd(wire.ssl.get(), wire.fd.get());
        if (SSL_accept(wire.ssl.get()) == 1) serve(std::move(wire));
        ++ended;
      }
    });
  }
  ~Http2Origin() {
    listener_.end();
    release();
    thread_.join();
  }
  // Lets connections go on with their handshake.
  void release() {
    hold = false;
    hold.notify_all();
  }
  uint16_t port = 0;
  std::atomic<int> accepted = 0, served = 0, ended = 0;  // connections, requests, and connections again
  std::atomic<bool> hold = false;  // makes accepted connections wait for release() before their handshake

 private:
  struct Work {
    std::shared_ptr<h2::Stream> stream;
    std::string text;
    bool head_answered = false, answered = false;
  };
  void serve(TestPeer wire) {
    Peer peer(std::move(wire), h2::Role::server);
    std::vector<Work> all;
    while (peer.more()) {
      while (auto stream = peer.session.accept()) all.push_back({std::move(stream), {}});
      for (auto& work : all) {
        if (work.answered || work.stream->broken()) continue;
        work.text += h2::all_of(*work.stream);
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
  Listener listener_;
  std::thread thread_;
};

// Runs a guard whose clients speak HTTP/2.
class Http2Test : public GuardTest {
 protected:
  // client() opens a tunnel and a session in it. inspect() starts the guard with one inspected host.
  Peer client(const std::string& host, Offer offer = Offer::http1_and_2) {
    TestPeer wire = connect_to(host);
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

inline const std::string kGet = "GET /a HTTP/1.1\r\nHost: a.test\r\n\r\n";

}  // namespace bottle::guard
