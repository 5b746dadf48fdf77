// Supports tests of the guard program with secrets.
#pragma once

#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <chrono>

#include "guard/program/guard_test.h"
#include "guard/protocol/websocket.h"

namespace bottle::guard {

// Ends a connection with a reset, like a server that closes with unread bytes.
inline void reset(TestPeer& wire) {
  linger hard{1, 0};
  setsockopt(wire.fd.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  wire.close();
}

// Waits until the other side's kernel has all bytes, and returns whether it has.
inline bool wait_until_acknowledged(const TestPeer& wire) {
  return comes_true([&] {
    int waiting = 0;
    return ioctl(wire.fd.get(), SIOCOUTQ, &waiting) == 0 && waiting == 0;
  });
}

// Returns the body in chunks of `piece` bytes, without the last, empty one.
inline std::string in_chunks(std::string_view body, size_t piece) {
  std::string out;
  for (; !body.empty(); body.remove_prefix(std::min(piece, body.size())))
    http::append_chunk(out, body.substr(0, piece));
  return out;
}

// Returns a frame as a server or a client writes it.
inline std::string frame(WebSocketSender sender, uint8_t opcode, bool fin, std::string_view payload,
                         bool compressed = false) {
  WebSocketWriter writer(sender);
  std::string out;
  writer.begin({opcode, fin, compressed, payload.size()}, {'k', 'e', 'y', '!'}, out);
  writer.payload(payload, out);
  return out;
}

// Sends the bytes in pieces of the given size. Returns false if the machine was so busy that there may have been a
// pause.
inline bool trickle(TestPeer& wire, std::string_view bytes, size_t piece = 1) {
  using Clock = std::chrono::steady_clock;
  auto begin = Clock::now(), last = begin;
  bool steady = true;
  for (; !bytes.empty(); bytes.remove_prefix(std::min(piece, bytes.size()))) {
    wire.write(bytes.substr(0, piece));
    poll(nullptr, 0, 1);
    steady = steady && Clock::now() - last < std::chrono::milliseconds(10);
    last = Clock::now();
  }
  return steady && last - begin < std::chrono::milliseconds(120);
}

// Provides two secrets: `tok` signs in to the model at model.test; `db` is bound to db.test, and the agent can read
// its value.
class SecretsTest : public GuardTest {
 protected:
  static constexpr const char* kOther = "db-value-with-\"quote\"/and+more";
  static constexpr const char* kOtherPlaceholder = "placeholder-of-db-0123";

  void SetUp() override {
    GuardTest::SetUp();
    bind_secret("model.test");
    config_["secrets"].push_back(
        {{"name", "db"}, {"value", kOther}, {"placeholder", kOtherPlaceholder}, {"hosts", json::array({"db.test"})}});
    config_["models"] = json::array({"model.test"});
  }
  // Starts an origin server at `host`, which is allowed and inspected.
  std::unique_ptr<Origin> origin(
      const std::string& host,
      std::function<std::string(const std::string&)> handler = [](auto&) { return ok("fine"); }) {
    auto made = std::make_unique<Origin>(ca_.get(), host, std::move(handler));
    route(host, made->port);
    allow({{"host", host}, {"inspect", true}});
    return made;
  }
  std::string ask(const std::string& host, const std::string& request) {
    TestPeer wire = secure(host);
    if (!wire.ssl) return "no TLS";
    wire.write(request);
    return wire.message();
  }
  static std::string post(const std::string& host, const std::string& body, const std::string& headers = "") {
    return "POST /v1/messages HTTP/1.1\r\nHost: " + host + "\r\nContent-Type: application/json\r\n" + headers +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  // Counts the audit lines with this code so far. The request for `mark` goes through the guard last, so everything
  // before it has been written.
  int count_audited(const std::string& code) {
    raw("CONNECT mark.test:443 HTTP/1.1\r\nHost: mark.test:443\r\n\r\n");
    int count = 0;
    for (json line; (line = next_line())["type"] == "audit" && line.value("host", "") != "mark.test";)
      count += line.value("code", "") == code;
    return count;
  }
};

}  // namespace bottle::guard
