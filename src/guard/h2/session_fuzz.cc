// Feeds a session arbitrary bytes from its peer. The text that the guard reads from a stream must be exactly one
// message, or a message whose head the guard's parser refuses. The first byte chooses the side.
#include <cstdlib>

#include "guard/h2/session.h"

using namespace bottle;
using namespace bottle::guard;

namespace {

constexpr std::string_view kMagic = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr std::string_view kSettings("\0\0\0\4\0\0\0\0\0", 9);

void require(bool ok) {
  if (!ok) std::abort();
}

// Reads a message from the peer, which may not be complete yet.
struct Reader {
  explicit Reader(std::shared_ptr<h2::Stream> s, bool is_request) : stream(std::move(s)), request(is_request) {}
  std::shared_ptr<h2::Stream> stream;
  bool request, head_done = false, refused = false;
  std::string text, payload;
  http::Body body;

  void read() {
    if (refused) return;
    char buffer[1000];
    for (size_t n; (n = stream->read(buffer, sizeof buffer)) > 0;) text.append(buffer, n);
    if (request && !stream->fault().empty()) require(text.empty());
    http::Head head;
    while (!head_done && !text.empty()) {
      Parse parsed = request ? http::parse_request(text, head) : http::parse_response(text, head);
      require(parsed != Parse::incomplete);
      refused = parsed == Parse::bad;  // for example, for an unknown expectation
      if (refused) return;
      head_done = request || head.status >= 200;
      if (head_done) body = request ? http::Body::of_request(head) : http::Body::of_response(head, "GET");
      text.erase(0, head.size);
    }
    if (!head_done) return;
    require(body.read(text, payload));
    payload.clear();
    if (body.done()) require(text.empty());
    if (stream->ended() && !stream->broken()) require(body.end());
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  bool server = data[0] & 1;
  std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  h2::Session session(server ? h2::Role::server : h2::Role::client);
  std::vector<Reader> readers;
  std::string out;
  if (!server) {
    readers.emplace_back(session.open(), false);
    readers[0].stream->write("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    session.transmit(out, 1 << 20);
  }
  session.receive(server ? std::string(kMagic).append(kSettings) : std::string(kSettings), 0);
  for (int64_t now = 1; !bytes.empty(); ++now) {
    std::string_view piece = bytes.substr(0, 500);
    bytes.remove_prefix(piece.size());
    bool fine = session.receive(piece, now);
    while (auto stream = session.accept()) readers.emplace_back(std::move(stream), true);
    for (auto& each : readers) {
      each.read();
      if (server) each.stream->write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    }
    out.clear();
    session.transmit(out, 1 << 20);
    if (!fine) break;
  }
  for (auto& each : readers) each.stream->drop();
  return 0;
}
