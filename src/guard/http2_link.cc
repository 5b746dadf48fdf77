// Moves bytes between a session without sockets and the TLS connection that carries it, and gives the guard's end of
// each stream the behavior of a non-blocking socket. The session has no events. Its owner calls step() in a loop
// until nothing moves, and `on_change` sets the flags that the kernel's events would set for a socket.
//
// This file also decides how much to produce and to read ahead, because only it sees how much the peer has not yet
// taken.
#include "guard/http2_link.h"

#include <cerrno>

namespace bottle::guard {
namespace {

// With this many unsent bytes for the peer, the session produces no more.
constexpr size_t kMostUnsent = 64 * 1024;
// With this many unsent frames without data for the peer, nothing more is read from it. This bounds what its frames can
// cause. Unsent parts of bodies must not count: if both sides stopped reading because of them, neither would ever
// continue.
constexpr size_t kMostQueued = 64;

class StreamPort : public Port {
 public:
  explicit StreamPort(std::shared_ptr<h2::Stream> stream) : stream_(std::move(stream)) {}
  ~StreamPort() override { stream_->drop(); }

  ssize_t recv(void* buffer, size_t size) override {
    if (size_t n = stream_->read(static_cast<char*>(buffer), size)) return static_cast<ssize_t>(n);
    if (stream_->broken()) return errno = ECONNRESET, -1;
    if (stream_->ended()) return 0;
    return errno = EAGAIN, -1;
  }
  ssize_t send(const void* bytes, size_t size) override {
    if (stream_->closed()) return errno = EPIPE, -1;
    if (size_t n = stream_->write({static_cast<const char*>(bytes), size})) return static_cast<ssize_t>(n);
    return errno = EAGAIN, -1;
  }
  void shut() override { stream_->end(); }
  std::string_view fault() const override { return stream_->fault(); }
  std::string_view why() const override { return stream_->why(); }
  bool refused() const override { return stream_->refused(); }

 private:
  std::shared_ptr<h2::Stream> stream_;
};

}  // namespace

void open_on(Source& source, std::shared_ptr<h2::Stream> stream, Waker* waker) {
  // The source outlives the callback: closing it destroys the port, which drops the stream and its callback.
  stream->on_change = [&source, s = stream.get()] {
    source.ready.read = true;
    // A closed stream counts as writable, because only a write tells its user that it is closed.
    source.ready.write |= s->has_room() || s->closed();
    if (s->broken()) source.peer = Source::Peer::gone;
    source.wake();
  };
  source.open(std::make_unique<StreamPort>(std::move(stream)), waker);
}

bool step(h2::Session& session, Stream& stream, int64_t now) {
  bool progress = session.transmit(stream.out, kMostUnsent);
  progress |= !stream.flushed() && stream.flush();
  if ((stream.unsent() < kMostUnsent || session.queued() < kMostQueued) && stream.fill()) progress = true;
  if (!stream.in.empty()) {
    session.receive(stream.in, now);
    stream.in.clear();
    session.transmit(stream.out, kMostUnsent);
    stream.flush();
  }
  return progress;
}

bool has_ended(const h2::Session& session, const Stream& stream) {
  return stream.failed || stream.eof || session.failed() || (session.over() && stream.flushed());
}

}  // namespace bottle::guard
