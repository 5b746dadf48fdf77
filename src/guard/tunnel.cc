// Copies small pieces and splices large ones. A splice moves bytes from socket to socket inside the kernel, but needs a
// pipe, and for a few bytes two splices cost more than a read and a write. A full read switches a direction to
// splicing, and a short one switches it back. Pipes are borrowed only while bytes are in them, so that ten thousand
// idle tunnels hold none.
//
// The two directions are independent, and the end of one is passed on while the other continues. Each turn does only
// a few rounds, so that a fast tunnel does not keep the others waiting.
#include "guard/tunnel.h"

#include <sys/socket.h>

#include <cerrno>

#include "guard/budget/tunnel_memory.h"

namespace bottle::guard {
namespace {

constexpr size_t kSmall = 16 * 1024;  // below this size, a copy costs less than two splices
constexpr size_t kPiece = 512 * 1024;
constexpr size_t kSmallPiece = 64 * 1024;  // while the kernel holds much for tunnels
constexpr int kRounds = 8;                 // rounds before the other connections have their turn

struct Direction {
  Stream& from;
  Stream& to;
  Budget* budget = nullptr;  // if set, the bytes of this direction count
  Budget::Account* account = nullptr;
  PipeEnds pipe = {};
  size_t in_pipe = 0;
  enum class State {
    open,
    shut,  // the end of `from` was passed on
    failed,
    limited,  // `from` would send more than a limit allows
  } state = State::open;
  bool bulk = false, moved = false;

  bool is(State wanted) const { return state == wanted; }
  void fail() { state = State::failed; }

  // Returns how many bytes may be read in one call, at least 1. A byte beyond the limit shows that there are more.
  size_t at_once(size_t most) const {
    return budget ? static_cast<size_t>(std::clamp<uint64_t>(budget->bytes_left(*account), 1, most)) : most;
  }
  // Counts bytes that were read. Returns false if they must not be passed on.
  bool count(size_t bytes) {
    if (budget && !budget->add_bytes(*account, bytes)) return state = State::limited, false;
    from.received += bytes;
    return true;
  }
};

// Counts what the kernel holds for all tunnels.
TunnelMemory& in_kernel() {
  static TunnelMemory all(kMostInKernel);
  return all;
}

bool waits(const Direction& d) { return d.in_pipe > 0 || !d.to.flushed(); }

// Decides when a tunnel is measured: when it has carried a little more, and as long as it waits for a peer.
class Measuring {
 public:
  // `end` is called when this tunnel holds the most of all, and they hold too much.
  Measuring(const Direction& up, const Direction& down, std::function<void()> end)
      : up_(up), down_(down), share_(in_kernel(), [this] { return measure(); }, std::move(end)) {}
  // Call it before waiting.
  void update(int64_t now) {
    constexpr uint64_t kLittle = 8 * 1024;
    uint64_t carried = up_.from.received + down_.from.received;
    if (carried - carried_ < kLittle && !waits(up_) && !waits(down_)) return;
    carried_ = carried;
    share_.update(now);
  }

 private:
  size_t measure() const {
    return up_.in_pipe + down_.in_pipe + kernel_buffers(up_.from.source->fd()) + kernel_buffers(up_.to.source->fd());
  }

  const Direction &up_, &down_;
  uint64_t carried_ = 0;
  TunnelMemory::Share share_;
};

// Empties the pipe as far as the peer takes the bytes. The bytes in the pipe were already counted and may not be
// dropped, so nothing more is read before the pipe is empty.
bool drain(Direction& d) {
  while (d.in_pipe > 0 && d.to.source->ready.write) {
    ssize_t n = splice_bytes(d.pipe.read.get(), d.to.source->fd(), d.in_pipe);
    if (n > 0) {
      d.in_pipe -= static_cast<size_t>(n);
      d.moved = true;
    } else if (n < 0 && errno == EINTR) {
      continue;
    } else if (n < 0 && errno == EAGAIN) {
      d.to.source->ready.write = false;
    } else {
      d.fail();
      return false;
    }
  }
  return d.in_pipe == 0;
}

// Performs one read and its write. Returns false if nothing more can be done until an event.
bool round(Context& context, Direction& d) {
  Source& from = *d.from.source;
  if (!drain(d)) return false;
  d.moved |= d.to.flush();
  if (d.to.failed) d.fail();
  if (d.is(Direction::State::failed) || d.is(Direction::State::limited) || !d.to.flushed() || !from.ready.read ||
      d.from.eof)
    return false;
  if (!d.bulk) {
    ssize_t n = from.recv(scratch, d.at_once(kSmall));
    if (n < 0) {
      if (errno != EAGAIN) d.fail();
      return false;
    }
    if (n == 0) {
      d.from.eof = true;
      return false;
    }
    if (!d.count(static_cast<size_t>(n))) return false;
    d.moved = true;
    ssize_t sent = d.to.source->send(scratch, static_cast<size_t>(n));
    if (sent < 0 && errno != EAGAIN) {
      d.fail();
      return false;
    }
    // Bytes that the peer did not take wait in `out`. Nothing more is read in this direction until they have left.
    if (sent < n)
      d.to.out.assign(scratch + std::max<ssize_t>(sent, 0), static_cast<size_t>(n - std::max<ssize_t>(sent, 0)));
    // A full read shows that more is waiting.
    d.bulk = static_cast<size_t>(n) == kSmall;
    return from.ready.read;
  }
  if (!d.pipe.read) d.pipe = context.pipes.take();
  // There is no pipe, or the system cannot splice. The next round copies, and if that read is full, the one after it
  // tries again.
  if (!d.pipe.read) {
    d.bulk = false;
    return true;
  }
  ssize_t n = splice_bytes(from.fd(), d.pipe.write.get(), d.at_once(in_kernel().is_crowded() ? kSmallPiece : kPiece));
  if (n > 0) {
    d.in_pipe += static_cast<size_t>(n);  // even if they must not be passed on, so that no other tunnel gets this pipe
    if (!d.count(static_cast<size_t>(n))) return false;
    d.moved = true;
    d.bulk = static_cast<size_t>(n) >= kSmall;  // while pieces are large, no copy comes between them
    return drain(d);
  }
  if (n < 0 && errno == EINTR) return true;
  if (n < 0 && errno == EAGAIN) from.ready.read = false;
  else if (n == 0) d.from.eof = true;
  else d.fail();
  return false;
}

// Returns true if it stopped only to let others run.
bool pump(Context& context, Direction& d) {
  int rounds = 0;
  while (rounds < kRounds && round(context, d)) ++rounds;
  // A pipe with bytes stays with its direction: another tunnel would get the bytes.
  if (d.in_pipe == 0 && d.pipe.read) context.pipes.give_back(std::exchange(d.pipe, {}));
  // All that came before the end has been passed on, so the end can follow.
  if (d.from.eof && d.is(Direction::State::open) && d.in_pipe == 0 && d.to.flushed()) {
    ::shutdown(d.to.source->fd(), SHUT_WR);
    d.state = Direction::State::shut;
  }
  if (d.to.flushed()) d.to.rest();
  return rounds == kRounds;
}

}  // namespace

Task<std::string_view> tunnel(Context& context, Waker& waker, Stream& client, Stream& upstream,
                              Budget::Account& account, int64_t idle_ms, MayGoOn may_go_on) {
  if (!context.budget.add_bytes(account, client.in.size())) co_return kNoBytesLeft;
  // The bytes that were read to find out the client's protocol go first.
  upstream.out.append(client.in);
  client.out.append(upstream.in);
  client.in.clear();
  upstream.in.clear();
  client.rest();
  upstream.rest();
  using State = Direction::State;
  Direction up{client, upstream, &context.budget, &account}, down{upstream, client};
  bool holds_most = false;
  Measuring measuring(up, down, [&] {
    holds_most = true;
    for (Stream* each : {&client, &upstream}) each->source->reset_on_close();
    waker.wake();
  });
  // From here on, the tunnel reads from the sources and not through the streams, and waits on the Waker itself.
  client.source->watch();
  upstream.source->watch();
  int64_t last = context.loop.now();
  // The rules may have changed between the judgment and now, so the first turn judges as well.
  std::shared_ptr<const Config> judged;
  while (true) {
    if (judged != context.config) {
      judged = context.config;
      if (!may_go_on(*judged)) co_return "the rules have changed";
    }
    up.moved = down.moved = false;
    bool more = pump(context, up);
    more |= pump(context, down);
    if (up.is(State::limited)) co_return kNoBytesLeft;
    if (up.is(State::failed) || down.is(State::failed)) co_return "connection reset";
    if (up.is(State::shut) && down.is(State::shut)) co_return "";
    // The rounds are used up but bytes are left, and no edge will report them.
    if (more) waker.wake();
    if (up.moved || down.moved) last = context.loop.now();
    if (context.loop.now() - last >= idle_ms) co_return "idle";
    measuring.update(context.loop.now());
    if (!holds_most) co_await waker.wait(last + idle_ms);
    if (holds_most) co_return kTooMuchUnread;  // another tunnel may have found that out
  }
}

}  // namespace bottle::guard
