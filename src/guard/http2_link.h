// Connects an HTTP/2 session to the connection that carries it, and presents each stream of the session as a
// connection that speaks HTTP/1.1.
#pragma once

#include <memory>

#include "guard/h2/session.h"
#include "guard/net/stream.h"

namespace bottle::guard {

// Opens `source` as the guard's end of the stream.
void open_on(Source& source, std::shared_ptr<h2::Stream> stream, Waker* waker);

// Moves bytes between the session and its connection. Returns true if something moved.
bool step(h2::Session& session, Stream& stream, int64_t now);

// Returns whether the session or its connection has ended. The session's last frames have been queued.
bool has_ended(const h2::Session& session, const Stream& stream);

}  // namespace bottle::guard
