// Serves one client, from its first byte to its end: CONNECT (blind, inspected or SSH), plain http://
// requests, and the health answer.
#pragma once

#include <cstdint>
#include <optional>

#include "guard/connection/connection.h"
#include "guard/core/client_error.h"

namespace bottle::guard {

// How long a handshake, and the head of a request, may take, in milliseconds.
inline constexpr int64_t kHandshakePatience = 30 * 1000, kHeadPatience = 60 * 1000;

// Serves an accepted socket, which it owns. The coroutine frees itself.
Detached serve(Context& context, int fd);

// Serves a CONNECT to `target`, whose head has been taken from the client's stream (connect.cc). `named_alike` says
// whether the Host header names the same host. TLS in the tunnel is passed or inspected; HTTP is served like http://
// requests.
Task<void> serve_connect(Connection& connection, std::string target, bool named_alike);

// Says where the requests on a client stream ended, as the server sees them. After `between_requests`, `upstream` may
// carry another.
enum class Ended : uint8_t { between_requests, within_a_request };

// Serves requests on an established client stream until it ends (requests.cc).
Task<Ended> serve_requests(Connection& connection);

// Serves a client that speaks HTTP/2 in an inspected tunnel, until it ends (http2.cc).
Task<void> serve_http2(Connection& connection);

// Connects c.upstream to c.host. Uses TLS if the client speaks TLS, and then offers the HTTP versions in `offer`
// (requests.cc).
struct Connected {
  std::optional<ClientError> error;
  bool needs_http2 = false;  // it failed because the server does not speak HTTP/1.1
};
Task<Connected> connect_upstream(Connection& c, Offer offer);

}  // namespace bottle::guard
