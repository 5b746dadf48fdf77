// Sends and receives deliveries. A delivery brings archives (the workspace and the skills) from another machine to a
// session, over a separate connection.
//
// The format is a line of JSON {"to":"/workspace"}, then chunks, each with 4 bytes of big-endian length and as many
// bytes of data; a length of 0 ends the archive. A length with the highest bit set stands for that many bytes of zeros,
// without the bit, and no data follows: an agent can make a file of any size from a hole. More archives may follow.
// {"end":true} ends the delivery. A stream that stops earlier is an error.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "base/error.h"
#include "base/files/full_disk.h"
#include "base/stream.h"
#include "base/unique_fd.h"

namespace bottle::transfer {

// The name under which the far side sends the reason if it cannot read the workspace, which then stays in its
// container.
constexpr const char* kHeld = "held";
// The name that it sends if the engine of the session says that neither the container nor the volume with the work
// exists.
constexpr const char* kGone = "gone";

// How long the near side waits for the next bytes of what it fetches. Before the first, the far side may ask its engine
// for its version, which takes up to 10 s, and then for four answers in turn, of which each takes up to a minute.
constexpr std::chrono::seconds kFetchPatience{260};

// Limits a sender that we do not trust. Times count only while we wait for it, except for `whole`.
struct Bounds {
  uint64_t most = UINT64_MAX;            // in bytes received
  uint64_t most_zeros = kMostWithHoles;  // in bytes that lengths stand for, which are not received
  uint64_t least = 0;  // in bytes, with those that lengths stand for, for each `window`, against a sender that is very
                       // slow but never silent
  std::chrono::nanoseconds window = std::chrono::minutes(2);
  std::chrono::nanoseconds longest = std::chrono::nanoseconds::max();  // for the whole delivery
  std::chrono::nanoseconds whole = std::chrono::nanoseconds::max();    // likewise, with the time we need to process it
};

// Sends a delivery.
class DeliveryWriter {
 public:
  explicit DeliveryWriter(Sink sink) : sink_(std::move(sink)) {}
  // Begin an archive for the path `to`, add bytes of it in portions of any size, end it, and, after the last archive,
  // end the delivery. They block and fail as the sink does.
  Result<> begin(const std::string& to);
  Result<> data(std::string_view bytes);
  Result<> end_archive();
  Result<> finish();

 private:
  Result<> chunk(std::string_view bytes);
  Result<> end_zeros();
  Sink sink_;
  uint32_t zeros_ = 0;  // not yet sent
};

// Receives one delivery, on a Unix socket in the session's directory (mode 0600).
class DeliveryPoint {
 public:
  // Creates the socket. When this returns, a sender can connect, and one sender may wait until receive() takes it.
  static Result<DeliveryPoint> listen(const std::string& path);

  // Blocks until a whole delivery has arrived, for at most `patience_ms` per wait, or until `is_gone` returns true.
  // `put` must read its source to the end.
  Result<> receive(const std::function<Result<>(const std::string& to, const Source& source)>& put, int patience_ms,
                   const std::function<bool()>& is_gone);

 private:
  explicit DeliveryPoint(UniqueFd fd) : listener_(std::move(fd)) {}
  UniqueFd listener_;
};

// Reads one delivery from a descriptor, or until `is_gone` returns true. Exposed for tests and the fuzzer. Fails with
// Code::limit or Code::timed_out if it exceeds `bounds`.
Result<> read_delivery(
    int fd, const std::function<Result<>(const std::string& to, const Source& source)>& put, int patience_ms,
    const std::function<bool()>& is_gone = [] { return false; }, const Bounds& bounds = {});

}  // namespace bottle::transfer
