// Pumps bytes between one end of a socket pair and messages of the control channel. The connection that uses the
// other end cannot distinguish it from a socket that leads to the host, so dialing and tunnels need no second kind of
// transport.
//
// The bytes come from another machine, so they are checked although the control channel itself is trusted. If the other
// side sends more than its window, or data after its end, only that stream ends.
#include "guard/core/near_side_streams.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "base/os/descriptors.h"
#include "guard/core/config.h"
#include "guard/net/task.h"
#include "wire/guard/stream_window.h"

namespace bottle::guard {
namespace {

constexpr size_t kPiece = 16 * 1024;
// A stream itself has no timeout, but the connections on both sides have one.
constexpr int64_t kForever = 24 * 3600 * 1000;

}  // namespace

using Part = wire::StreamPart;

struct NearSideStreams::Flow {
  Flow(Loop& loop, uint32_t given) : number(given), waker(loop) {}
  uint32_t number;
  Waker waker;
  Source source;              // the control channel's end of the socket pair
  wire::StreamWindow window;  // what the other side sent waits in it for the connection
  bool closed = false;        // the other side has dropped the stream; what it sent before still counts
  bool over = false;          // the stream is finished, and all further input is ignored
};

// Carries a stream in a coroutine that frees itself.
struct Pump {
  static void say(NearSideStreams& streams, uint32_t stream, decltype(wire::StreamPart::what) what) {
    streams.audit_.raw(wire::encode(wire::FromGuard(wire::StreamPart{stream, std::move(what)})) + "\n");
  }

  static Detached run(NearSideStreams& streams, std::shared_ptr<NearSideStreams::Flow> flow) {
    NearSideStreams::Flow& f = *flow;
    bool read_all = false, shut = false, broken = false;
    while (!f.over && !broken && !(read_all && shut)) {
      bool progress = false;
      if (f.closed) f.window.end(), read_all = true;
      // The stream's bytes share a pipe with the record. While the pipe is full, more of them would only fill the
      // memory.
      bool room = f.window.room() > 0 && !streams.audit_.congested();
      if (!read_all && room) {
        ssize_t n = f.source.recv(scratch, std::min(kPiece, f.window.room()));
        if (n > 0) {
          f.window.sent(static_cast<size_t>(n));
          say(streams, f.number, Part::Data{{scratch, static_cast<size_t>(n)}});
          progress = true;
        } else if (n == 0) {
          read_all = progress = true;
          say(streams, f.number, Part::End{});
        } else if (errno != EAGAIN) {
          broken = true;
        }
      }
      if (auto waiting = f.window.waiting(); !waiting.empty()) {
        ssize_t n = f.source.send(waiting.data(), waiting.size());
        if (n > 0) {
          f.window.passed(static_cast<size_t>(n));
          progress = true;
        } else if (errno != EAGAIN) {
          broken = true;
        }
      }
      if (auto taken = f.window.to_acknowledge()) say(streams, f.number, Part::Taken{*taken});
      if (f.window.is_complete() && !shut) {
        // The connection has all bytes before the end, so it may see the end now.
        ::shutdown(f.source.fd(), SHUT_WR);
        shut = true;
      }
      if (progress) continue;
      if (read_all && f.source.is_gone()) break;  // the connection is gone completely
      f.source.watch();
      // No event wakes a stream when the record has room again, so a congested stream checks every 20 ms.
      co_await f.waker.wait(streams.loop_.now() + (streams.audit_.congested() ? 20 : kForever));
    }
    f.source.close();
    // The other side has dropped the stream already if it said so or if the connection to it broke.
    if (!f.closed && streams.up_) say(streams, f.number, Part::Closed{});
    streams.flows_.erase(f.number);
  }
};

NearSideStreams::NearSideStreams(Loop& loop, Audit& audit) : loop_(loop), audit_(audit) {
  if (::getentropy(&next_, sizeof next_) != 0) std::abort();
}

void NearSideStreams::set_up(bool up) {
  up_ = up;
  if (up) return;
  for (auto& [number, flow] : flows_) {
    flow->over = true;
    flow->waker.wake();
  }
}

Result<UniqueFd> NearSideStreams::open() {
  if (!up_) return fail(Code::unavailable, "the operator's machine cannot be reached at the moment");
  if (flows_.size() >= kMostStreams) return fail(Code::limit, "too many streams to the operator's machine");
  auto pair = TRY(make_socket_pair(Waits::no));
  auto flow = std::make_shared<Flow>(loop_, next_++);
  flow->source.open(pair.ours.release(), &flow->waker);
  flows_[flow->number] = flow;
  Pump::say(*this, flow->number, Part::Open{});
  Pump::run(*this, flow);
  return std::move(pair.theirs);
}

namespace {

void take(NearSideStreams::Flow&, const Part::Open&) {}  // only a guard opens streams
void take(NearSideStreams::Flow& flow, const Part::Data& data) { flow.over |= !flow.window.accept(data.bytes); }
void take(NearSideStreams::Flow& flow, const Part::Taken& taken) { flow.window.acknowledged(taken.bytes); }
void take(NearSideStreams::Flow& flow, const Part::End&) { flow.window.end(); }
void take(NearSideStreams::Flow& flow, const Part::Closed&) { flow.closed = true; }

}  // namespace

void NearSideStreams::take(const wire::StreamPart& part) {
  auto found = flows_.find(part.stream);
  if (found == flows_.end()) return;  // the stream ended in the meantime
  std::visit([&](const auto& what) { guard::take(*found->second, what); }, part.what);
  found->second->waker.wake();
}

}  // namespace bottle::guard
