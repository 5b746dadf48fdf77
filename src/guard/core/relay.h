// Streams to whoever owns the control channel, who connects them to a guard of the operator's own (a broker): the way
// to hosts whose secrets, and to services whose addresses, stay on another machine. Nothing listens for it here: only
// this process can open one.
//
// Each stream is one end of a socket pair for the connection that uses it; the other end is carried over the control
// channel, with a window each way so that no side's memory fills.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/unique_fd.h"
#include "guard/core/audit.h"
#include "guard/core/loop.h"
#include "wire/guard/control.h"

namespace bottle::guard {

class Relay {
 public:
  Relay(Loop& loop, Audit& audit);

  // Whether the other machine can be reached now. Going down ends all streams.
  void set_up(bool up);

  // The connection's end of a new stream. Code::unavailable while the other side is away, Code::limit beyond
  // kMostStreams.
  Result<UniqueFd> open();

  // From the control channel.
  void take(const wire::StreamPart& part);

  struct Flow;

 private:
  static constexpr size_t kMostStreams = 256;
  Loop& loop_;
  Audit& audit_;
  bool up_ = false;
  uint32_t next_;  // begins anywhere: what was under way for a guard that died is not taken for an answer to this one
  std::map<uint32_t, std::shared_ptr<Flow>> flows_;
  friend struct Pump;
};

}  // namespace bottle::guard
