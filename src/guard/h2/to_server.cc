// Opens streams to a server, and determines which requests the server did not process.
#include <nghttp2/nghttp2.h>

#include <algorithm>

#include "guard/h2/session.h"

namespace bottle::guard::h2 {

std::shared_ptr<Stream> Session::open() {
  auto stream = std::make_shared<Stream>(this, total_);
  unborn_[stream.get()] = stream;
  stream->place_ = places_;
  return stream;
}

bool Session::has_room() const {
  if (!session_ || failed_ || shut_ || !nghttp2_session_check_request_allowed(session_)) return false;
  // Before the server's first frame, its limit for streams is unknown, so one is assumed.
  return streams_.size() + unborn_.size() < std::min(most_streams_.value_or(1), kMostStreams);
}

// Records whether the server did not process the request of a stream that ends with this code. nghttp2 uses the same
// code for streams above the last one in a GOAWAY. A request whose head was not sent never reached the server.
void Session::note_refusal(Stream& stream, uint32_t code) {
  if (role_ == Role::client && (code == NGHTTP2_REFUSED_STREAM || stream.asked_ == Stream::Asked::not_yet))
    stream.asked_ = Stream::Asked::refused;
}

}  // namespace bottle::guard::h2
