// Archives that come to a session from another machine, on a connection of their own: the workspace, the skills.
//
// The wire: a line of JSON {"to":"/workspace"}, then chunks (4 bytes length, big-endian, then as many bytes; length 0
// ends the archive), and so on; {"end":true} ends it all. A stream that stops before is no delivery.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "base/error.h"
#include "base/stream.h"
#include "base/unique_fd.h"

namespace bottle::session {

// Instead of the workspace, where it could not be got at, why: it is held where it is.
constexpr const char* kHeld = "held";

// What a sender that is not trusted may take of us. Time is counted while we wait for it, not while we work on what
// came, but for `whole`.
struct Bounds {
  uint64_t most = UINT64_MAX;  // bytes of the wire
  uint64_t least = 0;          // bytes in each `window`: silence is not the only way to hold somebody
  std::chrono::nanoseconds window = std::chrono::minutes(2);
  std::chrono::nanoseconds longest = std::chrono::nanoseconds::max();  // for all of it
  std::chrono::nanoseconds whole = std::chrono::nanoseconds::max();    // and for what is made of it as it comes
};

// The sending side.
class DeliveryWriter {
 public:
  explicit DeliveryWriter(Sink sink) : sink_(std::move(sink)) {}
  Result<> begin(const std::string& to);
  Result<> data(std::string_view bytes);
  Result<> end_archive();
  Result<> finish();

 private:
  Sink sink_;
};

// The receiving side: a unix socket in the session's directory (mode 0600) that takes one delivery.
class DeliveryPoint {
 public:
  static Result<DeliveryPoint> listen(const std::string& path);

  // Blocks until a whole delivery came, `patience_ms` at most for each wait, or until nobody wants it any more. `put`
  // reads its source to the end.
  Result<> receive(const std::function<Result<>(const std::string& to, const Source& source)>& put, int patience_ms,
                   const std::function<bool()>& is_gone);

 private:
  explicit DeliveryPoint(UniqueFd fd) : listener_(std::move(fd)) {}
  UniqueFd listener_;
};

// Reads one delivery from a descriptor. Exposed for tests and the fuzzer. Beyond `bounds`: Code::limit,
// Code::timed_out.
Result<> read_delivery(
    int fd, const std::function<Result<>(const std::string& to, const Source& source)>& put, int patience_ms,
    const std::function<bool()>& is_gone = [] { return false; }, const Bounds& bounds = {});

}  // namespace bottle::session
