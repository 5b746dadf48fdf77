// Returns what the guard has read to the peer's windows, and enlarges the windows of fast streams.
#include <nghttp2/nghttp2.h>

#include "guard/h2/session.h"

namespace bottle::guard::h2 {

void Session::give_back(Stream& stream, size_t bytes) {
  if (stream.closed() || stream.id_ < 0) return;
  nghttp2_session_consume_stream(session_, stream.id_, bytes);
  widen(stream, bytes);
  work();
}

// Doubles the peer's window on the stream when the guard has read several windows of data.
void Session::widen(Stream& stream, size_t bytes) {
  constexpr size_t kWindows = 4;
  bool server = role_ == Role::server;
  size_t now = (server ? kClientWindow : kServerWindow) + stream.wider_;
  stream.returned_ += bytes;
  if (stream.returned_ < kWindows * now || now >= (server ? kMostClientWindow : kMostServerWindow)) return;
  // A larger window is memory that the peer may fill at any time, so it counts before it is used.
  if (total_ && *total_ + now > kMostForWindows) return;
  if (nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, stream.id_, static_cast<int32_t>(2 * now)))
    return;
  stream.wider_ += now;
  stream.returned_ = 0;
  stream.count();
}

}  // namespace bottle::guard::h2
