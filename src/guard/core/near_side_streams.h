// Carries streams to the owner of the control channel, which connects them to a guard on the operator's
// machine (a broker). Streams lead to hosts whose secrets stay on another machine, and to services whose addresses stay
// there. No socket listens for streams; only this process can open one.
//
// The connection that uses a stream has one end of a socket pair. The bytes of the other end travel over the control
// channel. Each direction has a window, so that the memory of neither side fills up.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/unique_fd.h"
#include "guard/audit/audit.h"
#include "guard/net/loop.h"
#include "wire/guard/control.h"

namespace bottle::guard {

// Owns the open streams of this guard. Everything runs on the loop's thread.
class NearSideStreams {
 public:
  NearSideStreams(Loop& loop, Audit& audit);

  // Call it when the other machine becomes reachable or unreachable. If it is unreachable, all streams end.
  void set_up(bool up);

  // Opens a stream and returns the connection's end of it. Fails with Code::unavailable while the other side is away,
  // and with Code::limit beyond kMostStreams.
  Result<UniqueFd> open();

  // Takes a message from the control channel.
  void take(const wire::StreamPart& part);

  // Holds one stream (near_side_streams.cc).
  struct Flow;

 private:
  static constexpr size_t kMostStreams = 256;
  Loop& loop_;
  Audit& audit_;
  bool up_ = false;
  uint32_t next_;  // starts at a random number, so that late messages for a guard that died are not mistaken for
                   // answers to this one
  std::map<uint32_t, std::shared_ptr<Flow>> flows_;
  friend struct Pump;
};

}  // namespace bottle::guard
